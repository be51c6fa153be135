"""What a trained model leaves in MLflow, and how it is found again.

Functions take `mlflow` as an argument: the module itself or dagster-mlflow's resource, which proxies it and has
started the run.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from orchestration.training.contract import MODEL, triton_name
from orchestration.training.evaluation import Metrics
from orchestration.training.onnx_model import INPUT, OUTPUT, digest
from serving_gateway.contracts import ModelContract

Alias = Literal["champion", "challenger"]

ARTIFACT = "model"
# Named here because MLflow would otherwise load the model in a fresh process to find out.
_REQUIREMENTS = ("onnx", "onnxruntime", "numpy")


class RegistryError(Exception):
    """MLflow does not hold what was asked for, or not intact."""


@dataclass(frozen=True)
class Registered:
    """A registered version: its contract and its ONNX bytes."""

    contract: ModelContract
    onnx: bytes


def log_training(mlflow: Any, parameters: Mapping[str, Any], metrics: Mapping[str, Metrics]) -> None:
    """Log to the active run; a metric is named `<evaluation>_<metric>`, as `april_auc`."""
    mlflow.log_params(dict(parameters))
    mlflow.log_metrics({f"{name}_{key}": value for name, of in metrics.items() for key, value in asdict(of).items()})


def register(
    mlflow: Any, onnx: bytes, contract_of: Callable[[str, str], ModelContract], *, alias: Alias
) -> ModelContract:
    """Log the ONNX model to the active run as a new version of `MODEL` and point `alias` at it.

    `contract_of(version, run_id)` builds the contract, which can be written only once MLflow has numbered the version.
    The alias moves last: it never points at a version without its contract.
    """
    import mlflow.onnx as flavor
    from onnx import load_model_from_string

    run_id: str = mlflow.active_run().info.run_id
    logged = flavor.log_model(
        load_model_from_string(onnx),
        name=ARTIFACT,
        registered_model_name=MODEL,
        signature=_signature(onnx),
        pip_requirements=[f"{package}=={metadata.version(package)}" for package in _REQUIREMENTS],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    version = str(logged.registered_model_version)
    contract = contract_of(version, run_id)
    mlflow.log_text(contract.to_json().decode(), _contract_path(version))
    client = mlflow.MlflowClient()
    tags = {"contract_digest": contract.digest, "triton_model": triton_name(contract)}
    for key, value in tags.items():
        client.set_model_version_tag(MODEL, version, key, value)
    client.set_registered_model_alias(MODEL, alias, version)
    return contract


def fetch(mlflow: Any, version: str) -> Registered:
    """The contract and the ONNX bytes of a registered version.

    Raises:
        RegistryError: there is no such version, or its artifact is not the one its contract names.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = mlflow.MlflowClient().get_model_version(MODEL, version)
        text = mlflow.artifacts.load_text(f"runs:/{found.run_id}/{_contract_path(version)}")
        with TemporaryDirectory() as scratch:
            folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=scratch)
            onnx = (Path(folder) / "model.onnx").read_bytes()
    except MlflowException as error:
        raise RegistryError(f"MLflow has no intact {MODEL} version {version}: {error.message}") from error
    contract = ModelContract.from_json(text.encode())
    if digest(onnx) != contract.artifact_digest:
        raise RegistryError(f"the artifact of {MODEL} version {version} is not the one its contract names: train again")
    return Registered(contract, onnx)


def version_of(mlflow: Any, alias: Alias) -> str | None:
    """The version that `alias` points at, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return str(mlflow.MlflowClient().get_model_version_by_alias(MODEL, alias).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def _contract_path(version: str) -> str:
    return f"contract/{MODEL}_v{version}.json"


def _signature(onnx: bytes) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec
    from onnx import load_model_from_string

    (features,) = load_model_from_string(onnx).graph.input
    width = features.type.tensor_type.shape.dim[1].dim_value
    dtype = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(dtype, (-1, width), INPUT)]), outputs=Schema([TensorSpec(dtype, (-1, 1), OUTPUT)])
    )
