"""Bytes of a response, with the heads of the common ones built once."""

from functools import lru_cache
from http import HTTPStatus

from serving_gateway.http import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@lru_cache(maxsize=256)
def _head(status: int, content_type: str, keep_alive: bool) -> bytes:
    connection = "" if keep_alive else "connection: close\r\n"
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
    return f"{line}content-type: {content_type}\r\n{connection}content-length: ".encode()


def response_bytes(response: Response, *, keep_alive: bool, without_body: bool = False) -> bytes:
    """The response as sent. `without_body` is for HEAD: the length stands, the body does not."""
    head = _head(response.status, response.content_type, keep_alive)
    further = "".join(f"\r\n{name}: {value}" for name, value in response.headers).encode()
    body = b"" if without_body else response.body
    return b"%b%d%b\r\n\r\n%b" % (head, len(response.body), further, body)
