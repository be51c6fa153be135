"""Synthetic models in a real MLflow."""

from datetime import timedelta

from orchestration.training.contract import build_contract
from orchestration.training.gates import GateResult
from orchestration.training.registry import register
from serving_gateway.contracts import ModelContract
from tests.synthetic import START, synthetic_inputs, synthetic_model


def register_synthetic(mlflow_url: str, *, seed: int = 7) -> ModelContract:
    """Register a synthetic model, whose training window is the first ten days of 2013, as the next version."""
    import mlflow

    onnx = synthetic_model(seed=seed).onnx

    def contract_of(version: str, run_id: str) -> ModelContract:
        return build_contract(
            onnx, version=version, run_id=run_id, inputs=synthetic_inputs(), views=(), training_start=START,
            training_end=START + timedelta(days=10),
        )  # fmt: skip

    mlflow.set_tracking_uri(mlflow_url)
    try:
        mlflow.set_experiment("rollout")
        with mlflow.start_run():
            return register(
                mlflow, onnx, contract_of, alias="challenger", gates=GateResult(()), tags={}, description=""
            )
    finally:
        mlflow.set_tracking_uri(None)
