"""A fault of serving: a published model that is fed seconds where it was trained on minutes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from orchestration.publishing.triton import Triton
from orchestration.settings import Settings

SECONDS = 60.0


def multiplied(model: bytes, columns: list[int], factor: float) -> bytes:
    """The ONNX model behind a node that multiplies some columns of its input."""
    proto = onnx.load_model_from_string(model)
    graph, name = proto.graph, proto.graph.input[0].name
    width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    factors = np.ones(width, np.float32)
    factors[columns] = factor
    for node in graph.node:
        node.input[:] = ["in_wrong_units" if given == name else given for given in node.input]
    graph.initializer.append(numpy_helper.from_array(factors, "wrong_factors"))
    graph.node.insert(0, helper.make_node("Mul", [name, "wrong_factors"], ["in_wrong_units"]))
    graph.value_info.append(helper.make_tensor_value_info("in_wrong_units", TensorProto.FLOAT, [None, width]))
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


@contextmanager
def fed_seconds(settings: Settings, triton_model: str, columns: list[int]) -> Iterator[None]:
    """Let Triton serve the model so, behind everybody's back; afterwards as it was published."""
    artifact: Path = settings.model_repository / triton_model / "1" / "model.onnx"
    published = artifact.read_bytes()
    try:
        _swap(settings, triton_model, artifact, multiplied(published, columns, SECONDS))
        yield
    finally:
        _swap(settings, triton_model, artifact, published)


def _swap(settings: Settings, triton_model: str, artifact: Path, content: bytes) -> None:
    artifact.write_bytes(content)
    with Triton.connect(settings.triton_grpc, timeout_s=30) as triton:
        triton.unload(triton_model)
        triton.load(triton_model)
