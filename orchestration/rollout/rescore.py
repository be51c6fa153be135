"""What a registered version says of logged vectors: its own ONNX artifact, whether or not Triton still serves it.

Artifacts are kept under PLATFORM_HOME/models by their digest: a version that was scored once is scored without MLflow.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestration.drift.folder import write_whole
from orchestration.rollout.shadow_runs import REACH_TIMEOUT_S, without_password
from orchestration.settings import Settings
from orchestration.training.contract import MODEL, triton_name
from orchestration.training.onnx_model import digest, session
from orchestration.training.registry import Registered, RegistryError, fetch
from serving_gateway.contracts import ModelContract

# Bounds the memory of one run of the model, which holds a few arrays of this many rows.
BATCH_ROWS = 8192


class RescoreError(Exception):
    """A registered version cannot score these vectors; the message says why and what to do."""


def registered_scores(
    settings: Settings, version: ModelContract | tuple[str, str], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Probabilities of logged vectors by a registered version, on one thread.

    Args:
        settings: where MLflow and the kept artifacts are.
        version: its contract, or (model, version), for which MLflow is asked every time.
        vectors: float32 [n, k] in the order of the contract's inputs, NaN where missing; n may be 0.

    Returns:
        float64 [n], as the model gives them: a model that answers NaN gives NaN.

    Raises:
        RescoreError: the vectors have another width than the contract, MLflow is away or has no intact artifact of this
            version, its artifact is another than the contract's, or the model does not score.
    """
    contract = version if isinstance(version, ModelContract) else registered_contract(settings, *version)
    width = len(contract.inputs)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        shape = " x ".join(map(str, vectors.shape))
        raise RescoreError(f"{triton_name(contract)} takes vectors of {width} values, got an array of {shape}")
    return _scores(_artifact(settings, contract), contract, vectors)


def registered_contract(settings: Settings, model: str, version: str) -> ModelContract:
    """The contract of a registered version, from MLflow; its artifact is kept. Raises RescoreError."""
    if model != MODEL:
        raise RescoreError(f"there is no registered model {model!r}: the platform's is {MODEL!r}")
    found = _from_mlflow(settings, version)
    _keep(settings, found.contract, found.onnx)
    return found.contract


def _artifact(settings: Settings, contract: ModelContract) -> bytes:
    kept = _kept_as(settings, contract)
    if kept.is_file() and digest(onnx := kept.read_bytes()) == contract.artifact_digest:
        return onnx
    found = _from_mlflow(settings, contract.version)
    if found.contract.artifact_digest != contract.artifact_digest:
        raise RescoreError(
            f"MLflow's {MODEL} version {contract.version} is another artifact ({found.contract.artifact_digest[:12]}) than "
            f"the one that its contract names ({contract.artifact_digest[:12]}): this MLflow did not register it"
        )
    _keep(settings, contract, found.onnx)
    return found.onnx


def _from_mlflow(settings: Settings, version: str) -> Registered:
    import httpx

    url = settings.mlflow_url
    try:  # MLflow's own client would try again for minutes
        httpx.get(f"{url}/health", timeout=REACH_TIMEOUT_S, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        what = f"{MODEL} version {version} is not kept here, and MLflow at {url} does not answer ({error})"
        raise RescoreError(without_password(f"{what}: start it or mend MLFLOW_TRACKING_URI")) from None
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # it would stand between messages
    import mlflow

    mlflow.set_tracking_uri(url)
    try:
        return fetch(mlflow, version)
    except RegistryError as error:
        raise RescoreError(without_password(str(error))) from None


def _kept_as(settings: Settings, contract: ModelContract) -> Path:
    return settings.home / "models" / f"{contract.artifact_digest}.onnx"


def _keep(settings: Settings, contract: ModelContract, onnx: bytes) -> None:
    path = _kept_as(settings, contract)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda draft: draft.write_bytes(onnx))
    except OSError as error:
        raise RescoreError(f"the artifact cannot be kept in {path.parent} (PLATFORM_HOME): {error}") from error


def _scores(onnx: bytes, contract: ModelContract, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    scores = np.empty(len(vectors), np.float64)
    try:
        running = session(onnx)
        for first in range(0, len(vectors), BATCH_ROWS):
            batch = np.ascontiguousarray(vectors[first : first + BATCH_ROWS], np.float32)
            (made,) = running.run([contract.output_tensor], {contract.input_tensor: batch})
            scores[first : first + BATCH_ROWS] = made[:, 0]
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise RescoreError(f"{triton_name(contract)} does not score: {error}") from error
    return scores
