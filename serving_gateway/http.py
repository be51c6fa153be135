"""What the handlers take and give: a request, a response, one error shape. No transport is known here.

A handler is told whom to respond to, and may do so later: most predictions are answered by the arrival of a batch of
scores, not by a coroutine of their own.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from serving_gateway.tracing.trace import TRACERESPONSE, Trace

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


class Headers(Mapping[str, str]):
    """Header values by lower-case name, decoded when they are asked for: most never are."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        return self._raw[name.encode("latin-1", "replace")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default`. Mapping's own raises and catches an error for each header that is not sent."""
        value = self._raw.get(name.encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.encode("latin-1", "replace") in self._raw

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)


class Request(Struct):
    """One HTTP request, read whole. Header names are lower-case; `path` has no query, `query` is as it was sent.

    `trace` is set once it is handled.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""
    trace: Trace | None = None


class Response(Struct, frozen=True):
    """One HTTP response. `headers` are further ones: length and connection are the transport's."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def traced(response: Response, trace: Trace) -> Response:
    """`response` with the trace in a header: W3C Trace Context, editors' draft, section "traceresponse Header"."""
    headers = (*response.headers, (TRACERESPONSE, trace.value))
    return Response(response.status, response.body, response.content_type, headers)


Respond = Callable[[Response], None]
Handler = Callable[[Request, Respond], None]


class ApiError(Exception):
    """An error for the caller: HTTP status, what is wrong, and where in the request (`$` is all of it)."""

    def __init__(
        self, status: int, message: str, *, path: str = "$", headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.path = path
        self.headers = headers

    def response(self, path: str = "") -> Response:
        """The shape of every error, or the Open Inference Protocol's where the request's `path` is under /v2."""
        error: object = {"path": self.path, "message": self.message}
        if is_v2(path):
            error = self.message if self.path == "$" else f"{self.path}: {self.message}"
        return Response(self.status, _encode({"error": error}), headers=self.headers)


def is_v2(path: str) -> bool:
    """Whether a request's path belongs to the Open Inference Protocol v2."""
    return path == "/v2" or path.startswith("/v2/")


def json_response(document: object, status: int = 200) -> Response:
    """`document` as JSON."""
    return Response(status, _encode(document))


def unavailable(message: str, *, retry_after_s: int = 1) -> ApiError:
    """503 that says when to come back."""
    return ApiError(503, message, headers=(("retry-after", str(retry_after_s)),))
