"""Infer requests and replies with binary tensors (Open Inference Protocol v2, binary tensor data extension)."""

import struct
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from serving_gateway.documents import UNREADABLE
from serving_gateway.triton.errors import ScoreError


class Reply(Struct, frozen=True):
    """One HTTP response of Triton. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Output(Struct):
    name: str
    datatype: str
    shape: list[int]


class _InferReply(Struct):
    outputs: list[_Output]


class _ErrorReply(Struct):
    error: str


_MAX_LENGTH_DIGITS = 18  # int() refuses thousands of them
_decode_infer = msgspec.json.Decoder(_InferReply).decode
_decode_error = msgspec.json.Decoder(_ErrorReply).decode


class InferMessages:
    """Requests and replies of one model: input FP32 [n, width], output FP32 [n, 1]. Heads are built once per n."""

    def __init__(self, *, host: str, model: str, input_tensor: str, output_tensor: str, width: int) -> None:
        self._host = host
        self._model = model
        self._input = input_tensor
        self._output = output_tensor
        self._width = width
        self._heads: dict[int, bytes] = {}

    def request(self, rows: Sequence[bytes], traceparent: str = "") -> bytes:
        """The whole HTTP request; each row is `width` little-endian float32. No Accept-Encoding: Triton would compress."""
        head = self._heads.get(len(rows))
        if head is None:
            head = self._heads[len(rows)] = self._head(len(rows))
        if traceparent:
            head = head.replace(b"\r\n", b"\r\ntraceparent: %b\r\n" % traceparent.encode(), 1)
        return head + b"".join(rows)

    def scores(self, reply: Reply, count: int) -> list[float]:
        """`count` probabilities. Raises ScoreError: `error` on a refusal, `invalid` on anything but finite [0, 1]."""
        if reply.status != 200:
            raise ScoreError(
                "error", f"{self._model}: Triton answered {reply.status}: {_error_text(reply.body)}", answered=True
            )
        header_bytes = reply.headers.get("inference-header-content-length", "")
        if not header_bytes.isdecimal() or len(header_bytes) > _MAX_LENGTH_DIGITS:
            raise self._invalid("no binary output")
        at = int(header_bytes)
        try:
            outputs = _decode_infer(reply.body[:at]).outputs
        except UNREADABLE as error:
            raise self._invalid(f"unreadable header: {error}") from error
        data = reply.body[at:]
        found = [(o.name, o.datatype, o.shape) for o in outputs]
        if found != [(self._output, "FP32", [count, 1])] or len(data) != 4 * count:
            raise self._invalid(f"expected {self._output} FP32 [{count}, 1], got {found} in {len(data)} bytes")
        scores = list(struct.unpack(f"<{count}f", data))
        for row, score in enumerate(scores):
            if not 0.0 <= score <= 1.0:  # false for NaN too
                raise self._invalid(f"row {row} scored {score}, which is no probability")
        return scores

    def _invalid(self, message: str) -> ScoreError:
        return ScoreError("invalid", f"{self._model}: {message}", answered=True)

    def _head(self, count: int) -> bytes:
        size = 4 * count * self._width
        tensors = {
            "inputs": [
                {
                    "name": self._input,
                    "shape": [count, self._width],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": size},
                }
            ],
            "outputs": [{"name": self._output, "parameters": {"binary_data": True}}],
        }
        header = msgspec.json.encode(tensors)
        lines = (
            f"POST /v2/models/{self._model}/infer HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/octet-stream\r\nInference-Header-Content-Length: {len(header)}\r\n"
            f"Content-Length: {len(header) + size}\r\n\r\n"
        )
        return lines.encode() + header


def get_request(host: str, path: str) -> bytes:
    """A GET request, whole."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def _error_text(body: bytes) -> str:
    try:
        return _decode_error(body).error
    except UNREADABLE:
        return body[:200].decode(errors="replace")
