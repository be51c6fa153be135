"""The encoding and the dense layers as one graph of plain ONNX operators, which any runtime takes to a GPU."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestration.training.network_encoding import Encoding
from orchestration.training.onnx_model import INPUT, OUTPUT, assemble
from serving_gateway.contracts import Input

Step = tuple[str, tuple[str, ...], str, dict[str, Any]]
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]

_FLOAT = 1  # onnx.TensorProto.FLOAT
# Operator, what it takes, what it makes, its attributes: `Encoding.__call__`, line by line.
_ENCODE: tuple[Step, ...] = (
    ("Gather", (INPUT, "columns"), "values", {"axis": 1}),
    ("Sub", ("values", "lower"), "above", {}),
    ("Div", ("above", "span"), "part", {}),
    ("Clip", ("part", "zero", "one"), "bounded", {}),
    ("IsNaN", ("values",), "no_value", {}),
    ("Where", ("no_value", "zero", "bounded"), "filled", {}),
    ("Gather", (INPUT, "categories"), "category", {"axis": 1}),
    ("Equal", ("category", "codes"), "is_code", {}),
    ("Cast", ("is_code",), "hot", {"to": _FLOAT}),
    ("IsNaN", (INPUT,), "is_missing", {}),
    ("Cast", ("is_missing",), "missing", {"to": _FLOAT}),
    ("Concat", ("filled", "hot", "missing"), "encoded", {"axis": 1}),
)


def to_onnx(encoding: Encoding, layers: Sequence[Layer], inputs: Sequence[Input]) -> bytes:
    """`layers` are (weights [in, out], biases [out]): rectified linear units, the last one a logistic unit.

    Equal encodings and layers give equal bytes.
    """
    from onnx import helper, numpy_helper

    constants = {
        "columns": encoding.columns,
        "lower": encoding.lower,
        "span": encoding.span,
        "categories": encoding.categories,
        "codes": encoding.codes,
        "zero": np.float32(0),
        "one": np.float32(1),
    }
    steps = _ENCODE
    for number, (weights, biases) in enumerate(layers, start=1):
        constants |= {f"weights{number}": weights, f"biases{number}": biases}
        said, last = f"layer{number}", number == len(layers)
        steps += (
            ("Gemm", (steps[-1][2], f"weights{number}", f"biases{number}"), said, {}),
            ("Sigmoid", (said,), OUTPUT, {}) if last else ("Relu", (said,), f"active{number}", {}),
        )
    return assemble(
        [helper.make_node(operator, names, [out], name=out, **options) for operator, names, out, options in steps],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
        inputs,
    )
