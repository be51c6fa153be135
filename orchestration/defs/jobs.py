"""Jobs as they are launched from the UI, the shell and the demo."""

import dagster as dg

from orchestration.defs import drift, features, ingestion, models, rollout, serving
from orchestration.defs.common import DAILY

ingest_and_compute = dg.define_asset_job(
    "ingest_and_compute",
    selection=dg.AssetSelection.assets(
        ingestion.raw_flights, ingestion.raw_weather, features.feature_views, features.training_rows
    ),
    partitions_def=DAILY,
    description="A range of days from raw flights and weather to features and training rows, in one run.",
)
train_champion = dg.define_asset_job(
    "train_champion",
    selection=dg.AssetSelection.assets(
        features.feature_registry, models.champion_model, models.champion_on_triton, serving.baseline_arm
    ),
    description="Train, register, publish and serve the champion.",
)
try_challenger = dg.define_asset_job(
    "try_challenger",
    selection=dg.AssetSelection.assets(models.challenger_model, models.challenger_on_triton, serving.canary_arm),
    description="Train, register and publish a challenger, and give it a canary's share of the traffic.",
)
materialize_online = dg.define_asset_job(
    "materialize_online",
    selection=dg.AssetSelection.assets(features.feature_registry, features.online_store),
    description="Apply the feature repo and bring Redis to a day.",
)
judge_canary = dg.define_asset_job(
    "judge_canary",
    selection=dg.AssetSelection.assets(serving.prediction_log, rollout.canary_verdict),
    description="Land the prediction log and judge the canary on it; a failed verdict is rolled back.",
)
report_drift = dg.define_asset_job(
    "report_drift",
    selection=dg.AssetSelection.assets(serving.prediction_log, drift.drift_report),
    description="Land the prediction log and compare the last day with the training window.",
)
