"""A LightGBM booster as ONNX, and as text that scores the same."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestration.training.onnx_model import INPUT, OUTPUT, assemble
from serving_gateway.contracts import Input


def to_onnx(booster: Any, inputs: Sequence[Input]) -> bytes:
    """The booster as a graph of one tree ensemble. Equal boosters give equal bytes.

    A NaN takes the branch LightGBM's own default gives it. onnxmltools wraps the ensemble in label and probability
    outputs; only the ensemble is kept, and the column of label 1.
    """
    from onnx import helper, numpy_helper
    from onnxmltools.convert import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    floored = _with_float32_thresholds(booster)
    converted = convert_lightgbm(floored, initial_types=[(INPUT, FloatTensorType([None, len(inputs)]))], zipmap=False)
    (trees,) = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    trees.name = "trees"
    positive = numpy_helper.from_array(np.array([1]), "positive")
    column = helper.make_node("Gather", [trees.output[1], positive.name], [OUTPUT], name="probability", axis=1)
    return assemble([trees, column], [positive], inputs)


def to_text(booster: Any) -> str:
    """The booster in LightGBM's text format, with the thresholds of the ONNX graph.

    Triton's FIL backend reads it, and rounds thresholds to float32 too. Equal boosters give equal texts.
    """
    return str(_with_float32_thresholds(booster).model_to_string())


def _with_float32_thresholds(booster: Any) -> Any:
    import lightgbm as lgb

    return lgb.Booster(model_str=_thresholds_to_float32(booster.model_to_string()))


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
