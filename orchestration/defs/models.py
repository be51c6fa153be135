"""Two models on their way from training rows to Triton: the champion that answers and the challenger that is tried."""

from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS, parse_days
from orchestration.defs.features import feature_registry, training_rows
from orchestration.defs.model_metadata import gate_check, model_metadata
from orchestration.settings import Settings
from orchestration.training.gates import read_gates
from orchestration.training.recipes import RecipeName
from orchestration.training.registry import Alias
from serving_gateway.control.store import RolloutStore

GATES_CHECK = "holdout_gates"


class TrainingConfig(dg.Config):
    """Days to learn from, later days to be judged on, and how to learn."""

    train_start: str = Field(
        "2013-01-01", description="First day of the training window, by scheduled departure: YYYY-MM-DD."
    )
    train_end: str = Field("2013-04-01", description="Day after the training window's last.")
    holdout_start: str = Field(
        "2013-04-01", description="First day of the hold-out that the metric gates judge; not before train_end."
    )
    holdout_end: str = Field("2013-05-01", description="Day after the hold-out's last.")
    refit: bool = Field(
        default=False,
        description="Whether a recipe that passed its gates is fitted again, to the training window and the hold-out, "
        "before it is registered: the newest days teach most. The trial then judges the model itself.",
    )


class ChampionConfig(TrainingConfig):
    """As TrainingConfig, with trees."""

    recipe: RecipeName = Field(
        RecipeName.lightgbm, description="`lightgbm`: gradient-boosted trees. `network`: a multi-layer perceptron."
    )


class ChallengerConfig(TrainingConfig):
    """As TrainingConfig, with the network."""

    recipe: RecipeName = Field(
        RecipeName.network, description="`network`: a multi-layer perceptron. `lightgbm`: gradient-boosted trees."
    )


def _train(
    context: dg.AssetExecutionContext, config: ChampionConfig | ChallengerConfig, alias: Alias
) -> dg.MaterializeResult:
    from orchestration.features.layout import read_layouts
    from orchestration.training.pipeline import train_and_register

    settings = Settings.load()
    mlflow: Any = context.resources.mlflow
    try:
        windows = _windows(config)
        # a challenger shares traffic with the baseline, so it reads what the baseline reads
        like = RolloutStore.connect(settings.redis_url).baseline_contract() if alias == "challenger" else None
        result = train_and_register(
            mlflow,
            settings.lake / "training",
            windows,
            read_layouts(settings.feature_layout),
            alias=alias,
            recipe=config.recipe,
            gates=read_gates(settings.metric_gates),
            like=like,
            source=f"{settings.dagster_url}/runs/{context.run.run_id}",
        )
        run = mlflow.active_run().info
    except BaseException:
        mlflow.end_run(status="FAILED")
        raise
    mlflow.end_run()
    address = f"{settings.mlflow_url}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    return dg.MaterializeResult(
        metadata=model_metadata(result, alias, recipe=config.recipe.value, mlflow_run=address),
        check_results=[gate_check(result, GATES_CHECK)],
    )


def _windows(config: TrainingConfig) -> Any:
    from orchestration.training.pipeline import Windows

    try:
        return Windows(
            train=parse_days(config.train_start, config.train_end),
            holdout=parse_days(config.holdout_start, config.holdout_end),
            refit=config.refit,
        )
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


def _publish(context: dg.AssetExecutionContext, alias: Alias) -> dg.MaterializeResult:
    from orchestration.publishing.registered import publish_alias, retired_or_why_not

    settings = Settings.load()
    name = publish_alias(settings, alias)
    return dg.MaterializeResult(
        metadata={
            "Triton model": name,
            "retired": retired_or_why_not(settings, context.log.warning),
            "served at": dg.MetadataValue.url(f"http://{settings.triton_http}/v2/models/{name}"),
        }
    )


def _gates(alias: Alias) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        GATES_CHECK,
        asset=f"{alias}_model",
        blocking=True,
        description="Every metric of the hold-out is within its bound (METRIC_GATES_PATH); else no alias, no Triton.",
    )


@dg.asset(
    deps=[training_rows, feature_registry],
    group_name="models",
    kinds={"lightgbm", "onnx", "mlflow"},
    owners=OWNERS,
    tags={"role": "champion"},
    check_specs=[_gates("champion")],
    required_resource_keys={"mlflow"},
)
def champion_model(context: dg.AssetExecutionContext, config: ChampionConfig) -> dg.MaterializeResult:
    """A model trained, exported to ONNX at parity, registered in MLflow; named `champion` if it passes its gates."""
    return _train(context, config, "champion")


@dg.asset(
    deps=[training_rows, feature_registry],
    group_name="models",
    kinds={"scikitlearn", "onnx", "mlflow"},
    owners=OWNERS,
    tags={"role": "challenger"},
    check_specs=[_gates("challenger")],
    required_resource_keys={"mlflow"},
)
def challenger_model(context: dg.AssetExecutionContext, config: ChallengerConfig) -> dg.MaterializeResult:
    """A model on the baseline's inputs, exported at parity and registered; named `challenger` if it passes its gates."""
    return _train(context, config, "challenger")


@dg.asset(deps=[champion_model], group_name="models", kinds={"triton"}, owners=OWNERS, tags={"role": "champion"})
def champion_on_triton(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The version that `champion` names, loaded by Triton, warm, its golden request answered."""
    return _publish(context, "champion")


@dg.asset(deps=[challenger_model], group_name="models", kinds={"triton"}, owners=OWNERS, tags={"role": "challenger"})
def challenger_on_triton(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The version that `challenger` names, loaded by Triton, warm, its golden request answered."""
    return _publish(context, "challenger")
