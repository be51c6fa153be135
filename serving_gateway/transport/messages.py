"""Bytes of a response, with the heads of the common ones built once."""

from functools import lru_cache
from http import HTTPStatus
from typing import Literal

from serving_gateway.http import Response
from serving_gateway.tracing.trace import Trace

Connection = Literal["", "keep-alive", "close"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@lru_cache(maxsize=256)
def _head(status: int, content_type: str, connection: Connection) -> bytes:
    further = connection and f"connection: {connection}\r\n"
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{line}content-type: {content_type}\r\n{further}content-length: ".encode()


def response_bytes(
    response: Response, *, connection: Connection, without_body: bool = False, trace: Trace | None = None
) -> bytes:
    """The response as sent. `connection` is empty where the version's default holds. `without_body` is for HEAD: the length stands, the body does not."""
    head = _head(response.status, response.content_type, connection)
    further = b""
    if response.headers:
        further = "".join([f"\r\n{name}: {value}" for name, value in response.headers]).encode()
    body = b"" if without_body else response.body
    if trace is None:
        return b"%b%d%b\r\n\r\n%b" % (head, len(response.body), further, body)
    value = trace.value.encode()
    return b"%b%d%b\r\ntraceresponse: %b\r\n\r\n%b" % (head, len(response.body), further, value, body)
