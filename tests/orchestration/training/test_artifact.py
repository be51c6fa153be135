"""Broken and exchanged artifacts, each refused with the reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from orchestration.training.artifact import ArtifactError, check_artifact
from orchestration.training.contract import build_contract
from orchestration.training.onnx_model import digest
from serving_gateway.contracts import ModelContract
from tests.synthetic import START, synthetic_inputs, synthetic_model

INPUTS = synthetic_inputs()
NAMES = ",".join(i.name for i in INPUTS)


def contract_of(artifact: bytes) -> ModelContract:
    days = {"training_start": START, "training_end": START}
    return build_contract(artifact, version="1", run_id="0" * 32, inputs=INPUTS, views=(), **days)


def model(
    nodes: list[Any] | None = None,
    *,
    tensor: tuple[str, int, list[int | None]] = ("features", TensorProto.FLOAT, [None, 26]),
    output: tuple[str, list[int | None]] = ("score", [None, 1]),
    names: str = NAMES,
    opset: int = 17,
) -> bytes:
    """A logistic regression with the given part exchanged."""
    name, kind, shape = tensor
    inside = nodes or [
        helper.make_node("Cast", [name], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("IsNaN", ["numbers"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "numbers"], ["filled"]),
        helper.make_node("MatMul", ["filled", "weights"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], [output[0]]),
    ]
    width = shape[-1] if isinstance(shape[-1], int) else 26
    constants = {"weights": np.full((width, output[1][-1] or 1), 1e-3, np.float32), "zero": np.float32(0)}
    graph = helper.make_graph(
        inside,
        "model",
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(np.asarray(array), key) for key, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(made, {"inputs": names})
    return made.SerializeToString()


def swapped() -> str:
    names = NAMES.split(",")
    names[3], names[4] = names[4], names[3]
    return ",".join(names)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "truncated": (lambda: synthetic_model().onnx[:-100], "it is not a valid ONNX model"),
    "not a model": (lambda: b"PK\x03\x04 something else", "it is not a valid ONNX model"),
    "empty": (lambda: b"", "it is not a valid ONNX model"),
    "opset of the future": (lambda: model(opset=99), "it is not a valid ONNX model|ONNX Runtime does not load it"),
    "another input": (
        lambda: model(tensor=("x", TensorProto.FLOAT, [None, 26])),
        r"its input must be features tensor\(float\) \[n, 26\], it has x tensor\(float\)",
    ),
    "another dtype": (
        lambda: model(tensor=("features", TensorProto.DOUBLE, [None, 26])),
        r"its input must be features tensor\(float\) \[n, 26\], it has features tensor\(double\)",
    ),
    "another width": (
        lambda: model(tensor=("features", TensorProto.FLOAT, [None, 25])),
        r"its input must be .* \[n, 26\], it has .*25\]",
    ),
    "batches of one": (
        lambda: model(tensor=("features", TensorProto.FLOAT, [1, 26]), output=("score", [1, 1])),
        "its input features takes batches of 1 rows only",
    ),
    "another output": (lambda: model(output=("probability", [None, 1])), "its output must be score"),
    "two scores a row": (lambda: model(output=("score", [None, 2])), r"its output must be score .*\[n, 1\]"),
    "another order": (
        lambda: model(names=swapped()),
        r"the contract's inputs in another order: inputs\[3\] is s_block, not s_distance",
    ),
    "other inputs": (lambda: model(names=NAMES.replace("s_dow", "s_week")), "they differ in s_dow, s_week"),
    "no names": (lambda: model(names=""), "it was not made for the contract's inputs"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_artifact_is_refused_with_the_reason(case: str) -> None:
    make, reason = BROKEN[case]
    artifact = make()

    with pytest.raises(ArtifactError, match=reason):
        check_artifact(artifact, contract_of(artifact))


NOT_FILLED = [
    helper.make_node("MatMul", ["features", "weights"], ["logit"]),
    helper.make_node("Sigmoid", ["logit"], ["score"]),
]
OVER_THE_BATCH = [
    helper.make_node("IsNaN", ["features"], ["missing"]),
    helper.make_node("Where", ["missing", "zero", "features"], ["filled"]),
    helper.make_node("MatMul", ["filled", "weights"], ["logit"]),
    helper.make_node("Softmax", ["logit"], ["score"], axis=0),
]


@pytest.mark.parametrize(
    ("artifact", "reason"),
    [
        (model(NOT_FILLED), r"a probability from 0 to 1, it says nan to \[nan, nan, nan\]"),
        (model([helper.make_node("ReduceMax", ["features"], ["score"], axes=[1])]), "must be a probability"),
        (model(OVER_THE_BATCH), "depends on the other rows of its batch"),
    ],
    ids=["no number", "out of range", "rows that mind each other"],
)
def test_answers_that_cannot_be_served_are_refused(artifact: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        check_artifact(artifact, contract_of(artifact))


def test_another_artifact_than_the_contracts_is_refused() -> None:
    artifact, other = model(), synthetic_model().onnx

    with pytest.raises(ArtifactError, match="is not the artifact that the contract of version 1 names"):
        check_artifact(other, contract_of(artifact))


def test_a_model_that_fails_while_scoring_is_refused() -> None:
    """It looks for a row that only larger batches have."""
    nodes = [
        helper.make_node("ReduceMax", ["features"], ["most"], axes=[1]),
        helper.make_node("Gather", ["most", "far"], ["one"], axis=0),
        helper.make_node("Mul", ["most", "one"], ["score"]),
    ]
    loaded = onnx.load_model_from_string(model(nodes))
    loaded.graph.initializer.append(numpy_helper.from_array(np.array([1000], np.int64), "far"))
    artifact = loaded.SerializeToString()

    with pytest.raises(ArtifactError, match="it does not score"):
        check_artifact(artifact, contract_of(artifact))


def test_a_sound_artifact_passes_whoever_made_it() -> None:
    artifact = model()

    check_artifact(artifact, contract_of(artifact))
    check_artifact(synthetic_model().onnx, synthetic_model().contract)
    assert digest(artifact) == contract_of(artifact).artifact_digest
