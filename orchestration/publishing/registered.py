"""Publish what MLflow holds: from a registered-model alias to a model that Triton serves."""

from orchestration.publishing.publish import Golden, publish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from orchestration.training.registry import Alias, Registered, RegistryError, fetch, version_of

GOLDEN_ROWS = 64


def registered(settings: Settings, alias: Alias) -> Registered:
    """Contract and ONNX bytes of the version that `alias` names. Raises RegistryError when there is none."""
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_url)
    version = version_of(mlflow, alias)
    if version is None:
        raise RegistryError(f"no version carries the alias {alias!r}: materialize {alias}_model first")
    return fetch(mlflow, version)


def publish_alias(settings: Settings, alias: Alias) -> str:
    """Publish the version that `alias` names; returns its Triton model name.

    The golden request is cut from the stored training rows, scored by ONNX Runtime here.
    """
    found = registered(settings, alias)
    golden = _golden(settings, found)
    return publish(found.contract, found.onnx, golden, repository=Repository.of(settings), grpc=settings.triton_grpc)


def _golden(settings: Settings, found: Registered) -> Golden:
    from datetime import datetime, timedelta

    from orchestration.features.inputs import vectors
    from orchestration.features.training import read_training
    from orchestration.training.onnx_model import score

    first = datetime.fromisoformat(found.contract.training_start).date() + timedelta(days=1)
    rows = read_training(settings.lake / "training", first, first + timedelta(days=1)).head(GOLDEN_ROWS)
    made = vectors(rows, found.contract.inputs)
    return Golden(made, score(found.onnx, made))
