"""Jobs as they are launched by schedules and sensors, from the UI, the shell and the demo. Assets are named by key."""

import dagster as dg

from orchestration.defs.common import DAILY, DAILY_ASSETS

ingest_and_compute = dg.define_asset_job(
    "ingest_and_compute",
    selection=[*DAILY_ASSETS],
    partitions_def=DAILY,
    description="A range of days from raw flights and weather to features and training rows, in one run.",
)
compute_day = dg.define_asset_job(
    "compute_day",
    selection=[*DAILY_ASSETS, "feature_registry", "online_store"],
    partitions_def=DAILY,
    description="A day from raw data to training rows; then Redis is brought to the day given as `as_of`.",
)
train_champion = dg.define_asset_job(
    "train_champion",
    selection=["feature_registry", "champion_model", "champion_on_triton", "baseline_arm"],
    description="Train, register, publish and serve the champion.",
)
train_challenger = dg.define_asset_job(
    "train_challenger",
    selection=["challenger_model", "challenger_on_triton"],
    description="Train, register and publish a challenger; it gets no traffic.",
)
try_challenger = dg.define_asset_job(
    "try_challenger",
    selection=["challenger_model", "challenger_on_triton", "canary_arm"],
    description="Train, register and publish a challenger, and give it a canary's share of the traffic.",
)
materialize_online = dg.define_asset_job(
    "materialize_online",
    selection=["feature_registry", "online_store"],
    description="Apply the feature repo and bring Redis to a day.",
)
land_predictions = dg.define_asset_job(
    "land_predictions",
    selection=["prediction_log"],
    description="Move the prediction log from Redis to Parquet.",
)
judge_canary = dg.define_asset_job(
    "judge_canary",
    selection=["prediction_log", "canary_verdict"],
    description="Land the prediction log and judge the canary on it; a failed verdict is rolled back.",
)
report_drift = dg.define_asset_job(
    "report_drift",
    selection=["prediction_log", "drift_report"],
    description="Land the prediction log and compare the last day with the training window.",
)
judge_health = dg.define_asset_job(
    "judge_health",
    selection=["prediction_log", "usual_health", "model_health"],
    description="Land the prediction log and judge the model that answers on its labels.",
)
check_skew = dg.define_asset_job(
    "check_skew",
    selection=["prediction_log", "skew_report"],
    description="Land the prediction log and compare a day's served features with the offline store, row by row.",
)
