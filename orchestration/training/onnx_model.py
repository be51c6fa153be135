"""The trained booster as ONNX, and the proof that it scores as the trainer does."""

import hashlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

INPUT = "features"
OUTPUT = "score"
TOLERANCE = 1e-4
_OPSET, _ML_OPSET, _IR_VERSION = 17, 1, 8


class ParityError(Exception):
    """The exported model does not score as the trainer does."""


def to_onnx(booster: Any, *, width: int) -> bytes:
    """Serialize as ONNX: FP32 `features` [n, width] in, FP32 `score` [n, 1] = P(label = 1) out.

    A NaN takes the branch LightGBM's own default gives it. onnxmltools wraps the tree ensemble in label and
    probability outputs; only the ensemble is kept, and the column of label 1. Equal boosters give equal bytes.
    """
    import lightgbm as lgb
    from onnx import TensorProto, checker, helper
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    floored = lgb.Booster(model_str=_thresholds_to_float32(booster.model_to_string()))
    converted = convert_lightgbm(floored, initial_types=[(INPUT, FloatTensorType([None, width]))], zipmap=False)
    (trees,) = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    trees.name = "trees"
    positive = helper.make_tensor("positive", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        [trees, helper.make_node("Gather", [trees.output[1], positive.name], [OUTPUT], name="probability", axis=1)],
        "flight_delay",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        [positive],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(trees.domain, _ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="drift-platform")
    checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _thresholds_to_float32(model: str) -> str:
    """LightGBM's model text with every threshold rounded down to a float32.

    A threshold t is a double between two feature values, ONNX holds float32. For a float32 x, x <= t just when
    x <= t rounded down; rounded to nearest, as onnxmltools does, t can reach the value above it and turn a row around.
    `tree_sizes` goes, because it counts the bytes of each tree's text; LightGBM then reads the trees one by one.
    """

    def rounded_down(line: re.Match[str]) -> str:
        exact = np.array(line[1].split(), np.float64)
        with np.errstate(over="ignore"):
            nearest = exact.astype(np.float32)
        below = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
        return "threshold=" + " ".join(map(repr, below.astype(np.float64).tolist()))

    unsized = re.sub(r"^tree_sizes=.*\n", "", model, flags=re.MULTILINE)
    return re.sub(r"^threshold=(.*)$", rounded_down, unsized, flags=re.MULTILINE)


def score(onnx: bytes, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX Runtime's scores, float32 [n], of `vectors`, float32 [n, k]."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    (scores,) = session.run([OUTPUT], {INPUT: vectors})
    result: NDArray[np.float32] = scores[:, 0]
    return result


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


def digest(onnx: bytes) -> str:
    """SHA-256 of the artifact, hexadecimal: what a ModelContract names it by."""
    return hashlib.sha256(onnx).hexdigest()
