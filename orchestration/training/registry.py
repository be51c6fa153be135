"""What a trained model leaves in MLflow, and how it is found again.

Functions take `mlflow` as an argument: the module itself or dagster-mlflow's resource, which proxies it and has
started the run.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from orchestration.training.artifact import ArtifactError, check_artifact
from orchestration.training.contract import MODEL, triton_name
from orchestration.training.evaluation import Metrics
from orchestration.training.gates import GateResult
from serving_gateway.contracts import ModelContract

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Alias = Literal["champion", "challenger"]

ARTIFACT = "model"
HOLDOUT_DAYS = "holdout_days"
_TREES = "trees"
# Named here because MLflow would otherwise load the model in a fresh process to find out.
_REQUIREMENTS = ("onnx", "onnxruntime", "numpy")


class RegistryError(Exception):
    """MLflow does not hold what was asked for, or not intact."""


@dataclass(frozen=True)
class Registered:
    """A registered version: its contract, its ONNX bytes, and its trees as LightGBM's text where it was kept with them."""

    contract: ModelContract
    onnx: bytes
    trees: str | None = None


def log_training(
    mlflow: Any, parameters: Mapping[str, Any], metrics: Mapping[str, Metrics], figures: Mapping[str, "Figure"]
) -> None:
    """Log to the active run; a metric is named `<evaluation>_<metric>`, as `april_auc`, a plot `plots/<name>.png`."""
    mlflow.log_params(dict(parameters))
    mlflow.log_metrics({f"{name}_{key}": value for name, of in metrics.items() for key, value in asdict(of).items()})
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}.png")


def register(
    mlflow: Any,
    onnx: bytes,
    contract_of: Callable[[str, str], ModelContract],
    *,
    alias: Alias,
    gates: GateResult,
    tags: Mapping[str, str],
    description: str,
    trees: str | None = None,
) -> ModelContract:
    """Log the ONNX model to the active run as a new version of `MODEL`; point `alias` at it if it passed its gates.

    `trees` are the same model as LightGBM's text, of a recipe that makes trees.

    `contract_of(version, run_id)` builds the contract, which can be written only once MLflow has numbered the version.
    The alias moves last: it never points at a version without its contract. A version that failed its gates is kept,
    tagged with the reason, and no alias finds it.

    Raises:
        ArtifactError: the artifact is not what the contract says; nothing is registered.
    """
    run_id: str = mlflow.active_run().info.run_id
    check_artifact(onnx, contract_of("unregistered", run_id))
    version = _new_version(onnx)
    contract = contract_of(version, run_id)
    if trees is not None:
        mlflow.log_text(trees, _trees_path(version))
    mlflow.log_text(contract.to_json().decode(), _contract_path(version))
    client = mlflow.MlflowClient()
    client.update_model_version(MODEL, version, description)
    verdict = {"gates": "passed"} if gates.passed else {"gates": "failed", "gates_reason": gates.reason}
    named = {"contract_digest": contract.digest, "triton_model": triton_name(contract)}
    for key, value in {**tags, **named, **verdict}.items():
        client.set_model_version_tag(MODEL, version, key, value)
    if gates.passed:
        client.set_registered_model_alias(MODEL, alias, version)
    return contract


def _new_version(onnx: bytes) -> str:
    import mlflow.onnx as flavor
    from onnx import load_model_from_string

    logged = flavor.log_model(
        load_model_from_string(onnx),
        name=ARTIFACT,
        registered_model_name=MODEL,
        signature=_signature(onnx),
        pip_requirements=[f"{package}=={metadata.version(package)}" for package in _REQUIREMENTS],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    return str(logged.registered_model_version)


def fetch(mlflow: Any, version: str) -> Registered:
    """What is kept of a registered version.

    Raises:
        RegistryError: there is no such version, it has no contract or one that cannot be read, or its artifact is
            missing or not what its contract says.
    """
    from mlflow.exceptions import MlflowException

    try:
        found = mlflow.MlflowClient().get_model_version(MODEL, version)
        text = mlflow.artifacts.load_text(f"runs:/{found.run_id}/{_contract_path(version)}")
        trees = _trees(mlflow, found.run_id, version)
        with TemporaryDirectory() as scratch:
            folder = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=scratch)
            onnx = (Path(folder) / "model.onnx").read_bytes()
        contract = ModelContract.from_json(text)
    except MlflowException as error:
        raise RegistryError(f"MLflow has no intact {MODEL} version {version}: {error.message}") from error
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise RegistryError(f"MLflow has no intact {MODEL} version {version}: {error}; train again") from error
    try:
        check_artifact(onnx, contract)
    except ArtifactError as error:
        raise RegistryError(f"{MODEL} version {version} cannot be used: {error}; train again") from error
    return Registered(contract, onnx, trees)


def version_of(mlflow: Any, alias: Alias) -> str | None:
    """The version that `alias` points at, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return str(mlflow.MlflowClient().get_model_version_by_alias(MODEL, alias).version)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def fetch_alias(mlflow: Any, alias: Alias) -> Registered:
    """`fetch` of the version that `alias` points at. Raises RegistryError when there is none, too."""
    version = version_of(mlflow, alias)
    if version is None:
        raise RegistryError(f"no version carries the alias {alias!r}: materialize {alias}_model first")
    return fetch(mlflow, version)


def holdout_days(mlflow: Any, contract: ModelContract) -> str:
    """`first/end` as the training run logged it, ISO dates. Raises RegistryError if it did not."""
    logged: dict[str, str] = mlflow.get_run(contract.mlflow_run_id).data.params
    if HOLDOUT_DAYS not in logged:
        raise RegistryError(f"run {contract.mlflow_run_id} of {triton_name(contract)} logged no {HOLDOUT_DAYS}")
    return logged[HOLDOUT_DAYS]


def _contract_path(version: str) -> str:
    return f"contract/{MODEL}_v{version}.json"


def _trees_path(version: str) -> str:
    return f"{_TREES}/{MODEL}_v{version}.txt"


def _trees(mlflow: Any, run_id: str, version: str) -> str | None:
    """None of a network, and of a version from before trees were kept."""
    path = _trees_path(version)
    if path not in {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id, _TREES)}:
        return None
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))


def _signature(onnx: bytes) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from orchestration.training.onnx_model import INPUT, OUTPUT, session

    width = session(onnx).get_inputs()[0].shape[1]
    dtype = np.dtype(np.float32)
    return ModelSignature(
        inputs=Schema([TensorSpec(dtype, (-1, width), INPUT)]), outputs=Schema([TensorSpec(dtype, (-1, 1), OUTPUT)])
    )
