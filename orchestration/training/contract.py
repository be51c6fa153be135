"""The contract of a registered version: what the gateway needs to score with it."""

from collections.abc import Sequence
from datetime import datetime

from orchestration.features.views import FEATURE_SERVICE, PROJECT
from orchestration.training.onnx_model import INPUT, OUTPUT, digest
from serving_gateway.contracts import Input, ModelContract, ViewLayout

MODEL = "flight_delay"
DECISION_THRESHOLD = 0.5


def build_contract(
    onnx: bytes,
    *,
    version: str,
    run_id: str,
    inputs: Sequence[Input],
    views: Sequence[ViewLayout],
    training_start: datetime,
    training_end: datetime,
) -> ModelContract:
    """The contract of `MODEL` version `version`; the training window is half-open, written in ISO 8601."""
    return ModelContract(
        model=MODEL,
        version=version,
        inputs=tuple(inputs),
        views=tuple(views),
        feature_service=FEATURE_SERVICE,
        project=PROJECT,
        decision_threshold=DECISION_THRESHOLD,
        training_start=training_start.isoformat(),
        training_end=training_end.isoformat(),
        mlflow_run_id=run_id,
        artifact_digest=digest(onnx),
        input_tensor=INPUT,
        output_tensor=OUTPUT,
    )


def triton_name(contract: ModelContract) -> str:
    """Name Triton serves this version under: one Triton model a registered version."""
    return served_as(contract.model, contract.version)


def served_as(model: str, version: str | int) -> str:
    """`triton_name` of a registered version."""
    return f"{model}_v{version}"
