"""What the handlers take and give: a request, a response, one error shape. No transport is known here."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


class Request(Struct, frozen=True):
    """One HTTP request, read whole. Header names are lower-case; `path` has no query, `query` is as it was sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""


class Response(Struct, frozen=True):
    """One HTTP response. `headers` are further ones: length and connection are the transport's."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


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

    def response(self) -> Response:
        """The one shape of every error."""
        body = {"error": {"path": self.path, "message": self.message}}
        return Response(self.status, _encode(body), headers=self.headers)


def json_response(document: object, status: int = 200) -> Response:
    """`document` as JSON."""
    return Response(status, _encode(document))


def unavailable(message: str, *, retry_after_s: int = 1) -> ApiError:
    """503 that says when to come back."""
    return ApiError(503, message, headers=(("retry-after", str(retry_after_s)),))
