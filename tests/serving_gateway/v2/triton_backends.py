"""Models for a real Triton: two versions of the rolled-out one, one of several tensors, one that misbehaves as told."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonclient import grpc

from tests.servers import TritonServer
from tests.serving_gateway.support import CONTRACT

_CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: {batch}
{tensors}
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
"""
_HEAD = "import time\nimport numpy as np\nimport triton_python_backend_utils as pb\n\nclass TritonPythonModel:\n"
_SCORES = """\
    def execute(self, requests):
        return [pb.InferenceResponse([pb.Tensor("score", self.scores(r))]) for r in requests]

    def scores(self, request):
        vectors = np.nan_to_num(pb.get_input_tensor_by_name(request, "features").as_numpy(), nan=-1.0)
        logits = np.clip(vectors.sum(axis=1, keepdims=True) / 1000 - {shift}, -9, 9)
        return (1 / (1 + np.exp(-logits))).astype(np.float32)
"""
_SAME = """\
    def execute(self, requests):
        names = ("text", "numbers", "counts")
        return [
            pb.InferenceResponse([pb.Tensor(n + "_out", pb.get_input_tensor_by_name(r, n).as_numpy()) for n in names])
            for r in requests
        ]
"""
_TROUBLE = """\
    def execute(self, requests):
        return [self.respond(pb.get_input_tensor_by_name(r, "wait").as_numpy()) for r in requests]

    def respond(self, wait):
        if wait[0] == -1:
            raise ValueError("planted")
        if wait[0] < -1:
            code = (pb.TritonError.UNAVAILABLE, pb.TritonError.NOT_FOUND, pb.TritonError.INVALID_ARG)[int(-wait[0]) - 2]
            return pb.InferenceResponse(error=pb.TritonError("as told", code))
        time.sleep(float(wait[0]))
        return pb.InferenceResponse([pb.Tensor("waited", wait)])
"""
UNAVAILABLE, NOT_FOUND, INVALID, RAISE = -2.0, -3.0, -4.0, -1.0  # what `trouble` is told by its input


def _tensor(kind: str, name: str, data_type: str, dims: str) -> str:
    return f'{kind} [ {{ name: "{name}" data_type: TYPE_{data_type} dims: [ {dims} ] }} ]'


def _several(kind: str, suffix: str) -> str:
    tensors = (("text", "STRING", "-1"), ("numbers", "FP32", "-1, 2"), ("counts", "INT64", "-1"))
    return "\n".join(_tensor(kind, f"{name}{suffix}", data_type, dims) for name, data_type, dims in tensors)


def _scored(shift: float) -> tuple[int, str, str]:
    width = str(len(CONTRACT.inputs))
    tensors = _tensor("input", "features", "FP32", width) + "\n" + _tensor("output", "score", "FP32", "1")
    return 1024, tensors, _SCORES.format(shift=shift)


MODELS: dict[str, tuple[int, str, str]] = {
    "delay_v1": _scored(1.0),
    "delay_v2": _scored(2.0),
    "mixed": (0, _several("input", "") + "\n" + _several("output", "_out"), _SAME),
    "trouble": (0, _tensor("input", "wait", "FP32", "1") + "\n" + _tensor("output", "waited", "FP32", "1"), _TROUBLE),
}


@contextmanager
def loaded(triton: TritonServer, home: Path) -> Iterator[None]:
    """The models, ready on `triton`; taken away at the end."""
    repository = home / "triton" / "repository"
    for name, (batch, tensors, code) in MODELS.items():
        (repository / name / "1").mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(_CONFIG.format(name=name, batch=batch, tensors=tensors))
        (repository / name / "1" / "model.py").write_text(_HEAD + code)
    with grpc.InferenceServerClient(triton.grpc) as client:
        for name in MODELS:
            client.load_model(name)
        yield
        for name in MODELS:
            client.unload_model(name)
            shutil.rmtree(repository / name)
