"""Publish what MLflow holds: from a registered-model alias to a model that Triton serves."""

from collections.abc import Callable

from redis.exceptions import RedisError

from orchestration.publishing.publish import Golden, PublishError, publish
from orchestration.publishing.repository import Repository, RepositoryBusyError
from orchestration.publishing.retirement import Retired, RetirementError, retire
from orchestration.settings import Settings
from orchestration.training.contract import MODEL, served_as
from orchestration.training.registry import Alias, Registered, fetch_alias, version_of
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError

GOLDEN_ROWS = 64


def registered(settings: Settings, alias: Alias) -> Registered:
    """What MLflow keeps of the version that `alias` names. Raises RegistryError when there is none."""
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_url)
    return fetch_alias(mlflow, alias)


def served_name(settings: Settings, alias: Alias) -> str | None:
    """Triton model of the version that `alias` names, published or not; None where it names none."""
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_url)
    version = version_of(mlflow, alias)
    return served_as(MODEL, version) if version else None


def publish_alias(settings: Settings, alias: Alias) -> str:
    """Publish the version that `alias` names; returns its Triton model name.

    The golden request is cut from the stored training rows, scored by ONNX Runtime here.
    """
    found = registered(settings, alias)
    golden = _golden(settings, found)
    return publish(
        found.contract,
        found.onnx,
        golden,
        repository=Repository.of(settings),
        grpc=settings.triton_grpc,
        trees=found.trees,
    )


def retire_unneeded(settings: Settings) -> Retired:
    """Take down the published models that no arm, no alias and no policy keeps. Raises as `retire` does."""
    return retire(
        Repository.of(settings),
        RolloutStore.connect(settings.redis_url),
        lambda: aliased(settings),
        grpc=settings.triton_grpc,
    )


def retired_or_why_not(settings: Settings, warn: Callable[[str], object]) -> str:
    """What publishing says of the retirement behind it: a model that is up is published, whatever comes of that.

    `warn` is told what hinders it, with what to do.
    """
    try:
        retired = retire_unneeded(settings)
    except (RetirementError, PublishError, RepositoryBusyError, UnreadableDocumentError, RedisError, OSError) as error:
        warn(f"the model is published, but none was retired: {error}. Mend that, then run the job retire_models")
        return f"none: {error}"
    for line in retired.silent:
        warn(line)
    return ", ".join(retired.names) or "none"


def aliased(settings: Settings) -> set[str]:
    """Triton models of the versions that any alias of the registered model names."""
    import mlflow
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(settings.mlflow_url)
    try:
        aliases = mlflow.MlflowClient().get_registered_model(MODEL).aliases
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return set()
        raise RetirementError(f"MLflow does not say what its aliases name: {error.message}") from error
    return {served_as(MODEL, version) for version in aliases.values()}


def _golden(settings: Settings, found: Registered) -> Golden:
    from datetime import datetime, timedelta

    from orchestration.features.inputs import vectors
    from orchestration.features.training import read_training
    from orchestration.training.onnx_model import score

    first = datetime.fromisoformat(found.contract.training_start).date() + timedelta(days=1)
    rows = read_training(settings.lake / "training", first, first + timedelta(days=1)).head(GOLDEN_ROWS)
    made = vectors(rows, found.contract.inputs)
    return Golden(made, score(found.onnx, made))
