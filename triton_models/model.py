"""Triton's Python backend for one published ONNX model; copied beside its model.onnx.

Runs in the server's own environment (`.venv-triton`), one process a model instance, so it imports nothing of ours.
"""

import json
from pathlib import Path
from typing import Any

import onnxruntime as ort
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Scores float32 vectors [n, k] to float32 probabilities [n, 1]; rows are independent."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model. Tensor names come from config.pbtxt, so that they stand in one place."""
        config: dict[str, Any] = json.loads(args["model_config"])
        self._input: str = config["input"][0]["name"]
        self._output: str = config["output"][0]["name"]
        options = ort.SessionOptions()
        # The gateway batches; parallel threads inside one small batch only take cores from it, spinning ones most.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response a request; each request carries its own batch."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        vectors = pb_utils.get_input_tensor_by_name(request, self._input).as_numpy()
        (scores,) = self._session.run([self._output], {self._input: vectors})
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._output, scores)])
