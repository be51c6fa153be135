"""The control plane's view of a Triton server: load, unload and score, over gRPC.

Over HTTP a load would hold the thread that took the call and stall every connection pinned to it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triton_models.model_config import is_part, trees_of

_POLL_S = 0.02
_AT_WORK = {"READY", "LOADING", "UNLOADING"}
_STAND_IN_CONFIG = '{"backend": "python"}'
_STAND_IN_MODEL = b"class TritonPythonModel:\n    def execute(self, requests):\n        raise NotImplementedError\n"


class TritonError(Exception):
    """Triton refused, failed or cannot be reached."""


class Triton:
    """A client; make it by `connect`. Every failure of the server or the way to it is a TritonError."""

    def __init__(self, client: Any, address: str, timeout_s: float) -> None:
        self._client = client
        self._address = address
        self._timeout_s = timeout_s

    @classmethod
    @contextmanager
    def connect(cls, address: str, *, timeout_s: float) -> Iterator["Triton"]:
        """Client of the server at `address` (host:port, gRPC); `timeout_s` bounds each call."""
        from tritonclient import grpc

        with grpc.InferenceServerClient(address) as client:
            yield cls(client, address, timeout_s)

    def require_live(self) -> None:
        """Raise TritonError if nobody answers."""
        with self._errors("ask for its health"):
            self._client.is_server_live(client_timeout=self._timeout_s)

    def ready(self) -> list[str]:
        """Names of the models that answer now, without those that only serve inside another."""
        with self._errors("ask for its models"):
            index = self._client.get_model_repository_index(client_timeout=self._timeout_s)
        return [model.name for model in index.models if model.state == "READY" and not is_part(model.name)]

    def load(self, name: str) -> None:
        """Load the model and wait until it is ready. A model that is loaded already stays as it is."""
        with self._errors(f"load {name}"):
            if not self._client.is_model_ready(name, client_timeout=self._timeout_s):
                self._client.load_model(name, client_timeout=self._timeout_s)
            self._wait(f"{name} is loaded but does not get ready", lambda: self._client.is_model_ready(name))

    def unload(self, name: str) -> None:
        """Unload the model, its trees with it, and wait until the last request is done. One not loaded is left alone.

        Triton under strict readiness counts a failed load as "server not ready" until the same name has been loaded
        well and unloaded. An empty stand-in does that, so that a refused model does not take the others' server down.
        """
        with self._errors(f"unload {name}"):
            for each in (name, trees_of(name)):
                self._unload(each)

    def score(
        self, name: str, vectors: NDArray[np.float32], *, input_tensor: str, output_tensor: str
    ) -> NDArray[np.float32]:
        """The model's scores, float32 [n, 1], of `vectors`, float32 [n, k], as one request."""
        from tritonclient import grpc

        tensor = grpc.InferInput(input_tensor, list(vectors.shape), "FP32")
        tensor.set_data_from_numpy(np.ascontiguousarray(vectors, np.float32))
        with self._errors(f"score with {name}"):
            answer = self._client.infer(name, [tensor], client_timeout=self._timeout_s)
        scores: NDArray[np.float32] | None = answer.as_numpy(output_tensor)
        if scores is None:
            raise TritonError(f"{name} answered without its output {output_tensor!r}")
        return scores

    def _unload(self, name: str) -> None:
        state, reason = self._state(name)
        if state == "UNAVAILABLE" and reason != "unloaded":
            files = {"file:1/model.py": _STAND_IN_MODEL}
            self._client.load_model(name, config=_STAND_IN_CONFIG, files=files, client_timeout=self._timeout_s)
        if state or not is_part(name):
            self._client.unload_model(name, client_timeout=self._timeout_s)
        self._wait(f"{name} does not unload", lambda: self._state(name)[0] not in _AT_WORK)

    def _state(self, name: str) -> tuple[str, str]:
        """State and its reason as the server's index gives them; empty for a model it does not know."""
        index = self._client.get_model_repository_index(client_timeout=self._timeout_s)
        return next(((model.state, model.reason) for model in index.models if model.name == name), ("", ""))

    def _wait(self, complaint: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._timeout_s
        while not holds():
            if time.monotonic() > deadline:
                raise TritonError(f"{complaint} within {self._timeout_s:.0f} s")
            time.sleep(_POLL_S)

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        from tritonclient.utils import InferenceServerException

        try:
            yield
        except InferenceServerException as error:
            if error.status() == "StatusCode.UNAVAILABLE":
                raise TritonError(f"cannot {action}: no Triton answers at {self._address}") from error
            raise TritonError(f"Triton could not {action}: {error.message()}") from error
