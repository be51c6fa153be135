"""Two models on their way from training rows to Triton: the champion that answers and the challenger that is tried."""

from typing import Any

import dagster as dg

from orchestration.defs.common import OWNERS, parse_days
from orchestration.defs.features import feature_registry, training_rows
from orchestration.settings import Settings
from orchestration.training.registry import Alias
from serving_gateway.control.store import RolloutStore


class TrainingConfig(dg.Config):
    """Windows of `sched_dep` days: ISO dates, each end exclusive; the hold-out follows the training window in time."""

    train_start: str = "2013-01-01"
    train_end: str = "2013-04-01"
    holdout_start: str = "2013-04-01"
    holdout_end: str = "2013-05-01"


def _train(mlflow: Any, config: TrainingConfig, alias: Alias) -> dg.MaterializeResult:
    from orchestration.features.layout import read_layouts
    from orchestration.training.pipeline import Windows, train_and_register

    settings = Settings.load()
    windows = Windows(
        train=parse_days(config.train_start, config.train_end),
        holdout=parse_days(config.holdout_start, config.holdout_end),
    )
    try:
        # a challenger shares traffic with the baseline, so it reads what the baseline reads
        like = RolloutStore.connect(settings.redis_url).baseline_contract() if alias == "challenger" else None
        layouts = read_layouts(settings.feature_layout)
        result = train_and_register(mlflow, settings.lake / "training", windows, layouts, alias=alias, like=like)
        run = mlflow.active_run().info
    except BaseException:
        mlflow.end_run(status="FAILED")
        raise
    mlflow.end_run()
    return dg.MaterializeResult(
        metadata={
            "version": result.contract.version,
            "holdout AUC": result.holdout.auc,
            "holdout log-loss": result.holdout.log_loss,
            "holdout Brier": result.holdout.brier,
            "holdout calibration bias": result.holdout.calibration_bias,
            "training rows": result.training_samples,
            "ONNX parity": result.parity,
            "contract": result.contract.digest,
            "MLflow run": dg.MetadataValue.url(
                f"{settings.mlflow_url}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
            ),
        }
    )


def _publish(alias: Alias) -> dg.MaterializeResult:
    from orchestration.publishing.registered import publish_alias

    settings = Settings.load()
    name = publish_alias(settings, alias)
    return dg.MaterializeResult(
        metadata={
            "Triton model": name,
            "served at": dg.MetadataValue.url(f"http://{settings.triton_http}/v2/models/{name}"),
        }
    )


def model_assets(alias: Alias) -> tuple[dg.AssetsDefinition, dg.AssetsDefinition]:
    """`<alias>_model`, registered in MLflow, and `<alias>_on_triton`, loaded and checked."""

    @dg.asset(
        name=f"{alias}_model",
        deps=[training_rows, feature_registry],
        group_name="models",
        kinds={"lightgbm", "onnx", "mlflow"},
        owners=OWNERS,
        required_resource_keys={"mlflow"},
        description=f"A LightGBM model, exported to ONNX at parity, registered in MLflow under the alias `{alias}`.",
    )
    def model(context: dg.AssetExecutionContext, config: TrainingConfig) -> dg.MaterializeResult:
        return _train(context.resources.mlflow, config, alias)

    @dg.asset(
        name=f"{alias}_on_triton",
        deps=[model],
        group_name="models",
        kinds={"triton"},
        owners=OWNERS,
        description=f"The version that `{alias}` names, loaded by Triton, warm, its golden request answered.",
    )
    def on_triton() -> dg.MaterializeResult:
        return _publish(alias)

    return model, on_triton


champion_model, champion_on_triton = model_assets("champion")
challenger_model, challenger_on_triton = model_assets("challenger")
