"""Two models on a real Triton that misbehave as they are told, at once and without a reload."""

import json
from pathlib import Path

from tests.serving_gateway.support import CONTRACT

MODELS = {"delay_v1": 0.25, "delay_v2": 0.75}
_CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 256
input [ {{ name: "features" data_type: TYPE_FP32 dims: [ {width} ] }} ]
output [ {{ name: "score" data_type: TYPE_FP32 dims: [ 1 ] }} ]
instance_group [ {{ count: 1 kind: KIND_CPU }} ]
"""
_CODE = """\
import time
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(len(pb.get_input_tensor_by_name(r, "features").as_numpy())) for r in requests]

    def told(self):
        return (Path(__file__).parent / "told").read_text().split() or [""]

    def answer(self, rows):
        what, *seconds = self.told()
        if what == "error":
            return pb.InferenceResponse(error=pb.TritonError("planted"))
        while what == "hang" and self.told()[0] == "hang":
            time.sleep(0.02)
        if what == "sleep":
            time.sleep(float(seconds[0]))
        if what == "each":
            time.sleep(rows * float(seconds[0]))
        value = float("nan") if what == "nan" else {score}
        scores = np.full((rows, 2 if what == "shape" else 1), value, np.float32)
        return pb.InferenceResponse([pb.Tensor("score", scores)])
"""


def tell(home: Path, model: str, what: str = "") -> None:
    """From now on `model` does: "error", "hang", "nan", "shape", "sleep S" a batch, "each S" a row; "" is well."""
    file = _version(home, model) / "told"
    file.with_suffix(".new").write_text(what)
    file.with_suffix(".new").replace(file)


def publish(home: Path) -> None:
    """Write both models and the manifest by which `triton_models.launch` loads them at each start."""
    for model, score in MODELS.items():
        _version(home, model).mkdir(parents=True)
        config = _CONFIG.format(name=model, width=len(CONTRACT.inputs))
        (_version(home, model).parent / "config.pbtxt").write_text(config)
        (_version(home, model) / "model.py").write_text(_CODE.replace("{score}", str(score)))
        tell(home, model)
    (home / "triton" / "manifest.json").write_text(json.dumps(sorted(MODELS)))


def _version(home: Path, model: str) -> Path:
    return home / "triton" / "repository" / model / "1"
