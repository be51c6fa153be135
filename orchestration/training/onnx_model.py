"""The form of every recipe's artifact: one ONNX graph, and the proof that it scores as the trainer does."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving_gateway.contracts import Input

INPUT = "features"
OUTPUT = "score"
# Key of the model's metadata under which it names its inputs in order: the graph itself knows only how many there are.
NAMES = "inputs"
TOLERANCE = 1e-4
_OPSET, _ML_OPSET, _IR_VERSION = 17, 1, 8


class ParityError(Exception):
    """The exported model does not score as the trainer does."""


def assemble(nodes: Sequence[Any], constants: Sequence[Any], inputs: Sequence[Input]) -> bytes:
    """Serialize a graph: FP32 `features` [n, len(inputs)] in, FP32 `score` [n, 1] = P(label = 1) out.

    `nodes` and `constants` are ONNX protobufs; equal ones give equal bytes.
    """
    from onnx import TensorProto, checker, helper

    graph = helper.make_graph(
        nodes,
        "probability",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(inputs)])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        constants,
    )
    versions = {"": _OPSET, "ai.onnx.ml": _ML_OPSET}
    opsets = [
        helper.make_opsetid(domain, versions[domain]) for domain in sorted({node.domain for node in nodes} | {""})
    ]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="drift-platform")
    helper.set_model_props(model, {NAMES: ",".join(i.name for i in inputs)})
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def score(onnx: bytes, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX Runtime's scores, float32 [n], of `vectors`, float32 [n, k]."""
    (scores,) = session(onnx).run([OUTPUT], {INPUT: vectors})
    result: NDArray[np.float32] = scores[:, 0]
    return result


def session(onnx: bytes) -> Any:
    """The model in ONNX Runtime, on one thread of the CPU, as Triton runs it. Raises what ONNX Runtime raises."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


def parity(onnx: bytes, vectors: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """Largest difference between ONNX Runtime's scores and the trainer's own.

    Raises:
        ParityError: it exceeds `TOLERANCE`, or is not a number.
    """
    differences = np.abs(score(onnx, vectors).astype(np.float64) - expected)
    worst = float(differences.max())
    if not worst <= TOLERANCE:
        row = int(differences.argmax())
        raise ParityError(
            f"the exported model differs from the trainer by {worst:.1e} (allowed {TOLERANCE:.0e}), "
            f"first in row {row}: {vectors[row].tolist()}"
        )
    return worst


def is_trees(onnx: bytes) -> bool:
    """Whether the graph holds a tree ensemble."""
    from onnx import load_model_from_string

    return any(node.op_type.startswith("TreeEnsemble") for node in load_model_from_string(onnx).graph.node)


def digest(onnx: bytes) -> str:
    """SHA-256 of the artifact, hexadecimal: what a ModelContract names it by."""
    return hashlib.sha256(onnx).hexdigest()
