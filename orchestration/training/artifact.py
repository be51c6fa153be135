"""Is an artifact what its contract says? Asked before it is registered, and whenever it is fetched."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestration.training.onnx_model import NAMES, digest, session
from serving_gateway.contracts import ModelContract

# A batch may change the last bits of a float32, not more.
BATCH_TOLERANCE = 1e-6


class ArtifactError(Exception):
    """The artifact cannot serve under this contract; the message says what is wrong with it."""


def check_artifact(onnx: bytes, contract: ModelContract) -> None:
    """Digest, graph, tensors, order of the inputs, and the answers to vectors that are hard to answer.

    Raises:
        ArtifactError: with the first thing that is wrong.
    """
    if digest(onnx) != contract.artifact_digest:
        raise ArtifactError(f"it is not the artifact that the contract of version {contract.version} names")
    properties = _graph_is_valid(onnx)
    running = _runs(onnx)
    expected = ((contract.input_tensor, len(contract.inputs)), (contract.output_tensor, 1))
    for kind, tensors, (name, width) in zip(
        ("input", "output"), (running.get_inputs(), running.get_outputs()), expected, strict=True
    ):
        _is_tensor(kind, tensors, name, width)
    _names_its_inputs(properties, contract)
    _answers(running, contract)


def _graph_is_valid(onnx: bytes) -> dict[str, str]:
    """The model's metadata."""
    from google.protobuf.message import DecodeError
    from onnx import checker, load_model_from_string

    try:
        model = load_model_from_string(onnx)
        checker.check_model(model, full_check=True)
    except (
        DecodeError,
        checker.ValidationError,
        RuntimeError,
    ) as error:  # what shape inference finds is a RuntimeError
        raise ArtifactError(f"it is not a valid ONNX model: {_first_line(error)}") from error
    return {entry.key: entry.value for entry in model.metadata_props}


def _runs(onnx: bytes) -> Any:
    try:
        return session(onnx)
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise ArtifactError(f"ONNX Runtime does not load it: {_first_line(error)}") from error


def _is_tensor(kind: str, tensors: list[Any], name: str, width: int) -> None:
    found = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in tensors)
    if [(t.name, t.type, len(t.shape), t.shape[-1:]) for t in tensors] != [(name, "tensor(float)", 2, [width])]:
        raise ArtifactError(f"its {kind} must be {name} tensor(float) [n, {width}], it has {found}")
    if isinstance(tensors[0].shape[0], int):
        raise ArtifactError(f"its {kind} {name} takes batches of {tensors[0].shape[0]} rows only")


def _names_its_inputs(properties: dict[str, str], contract: ModelContract) -> None:
    ours, theirs = [i.name for i in contract.inputs], properties.get(NAMES, "").split(",")
    if ours == theirs:
        return
    if sorted(ours) == sorted(theirs):
        first = next(n for n, (our, their) in enumerate(zip(ours, theirs, strict=True)) if our != their)
        raise ArtifactError(
            f"it takes the contract's inputs in another order: inputs[{first}] is {theirs[first]}, not {ours[first]}"
        )
    odd = sorted(set(ours) ^ set(theirs) - {""})
    raise ArtifactError(f"it was not made for the contract's inputs; they differ in {', '.join(odd)}")


def _answers(running: Any, contract: ModelContract) -> None:
    """Probabilities, the same alone as in a batch."""
    vectors = _hard(len(contract.inputs))
    try:
        (batch,) = running.run([contract.output_tensor], {contract.input_tensor: vectors})
        alone = [running.run([contract.output_tensor], {contract.input_tensor: row[None]})[0] for row in vectors]
    except Exception as error:  # as above
        raise ArtifactError(f"it does not score: {_first_line(error)}") from error
    if batch.shape != (len(vectors), 1):
        raise ArtifactError(f"{len(vectors)} rows have scores of shape {batch.shape}")
    for row, one in zip(vectors, batch[:, 0], strict=True):
        if not 0 <= one <= 1:
            raise ArtifactError(f"its score must be a probability from 0 to 1, it says {one} to {row[:3].tolist()}...")
    if not np.abs(np.concatenate(alone) - batch).max() <= BATCH_TOLERANCE:
        raise ArtifactError("a row's score depends on the other rows of its batch")


def _hard(width: int) -> NDArray[np.float32]:
    """Nothing known, nothing but zeros, far outside on either side, half of it missing; seeded noise in between."""
    rng = np.random.default_rng(2013)
    noise = rng.normal(0, 100, (8, width))
    noise[4:][rng.random((4, width)) < 0.5] = np.nan
    levels = np.array([np.nan, 0.0, 1e6, -1e6])
    return np.concatenate([np.repeat(levels[:, None], width, axis=1), noise]).astype(np.float32)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
