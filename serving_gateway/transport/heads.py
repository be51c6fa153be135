"""Heads of requests, and those that were parsed before.

A keep-alive client repeats its head byte for byte but for the body's length.
"""

from collections.abc import Mapping
from urllib.parse import unquote

from msgspec import Struct

from serving_gateway.http import Request
from serving_gateway.tracing.trace import TRACEPARENT

_END = b"\r\n\r\n"
_LONGEST = 1024
_MOST = 4096


class _Head(Struct, frozen=True):
    method: str
    path: str
    headers: Mapping[str, str]
    query: str
    length: int


class KnownHeads:
    """Requests by the bytes of their heads, at most _MOST of at most _LONGEST bytes; the oldest goes first.

    What the parser made of some bytes once it would make of them again, wherever a request may begin.
    """

    def __init__(self) -> None:
        self._heads: dict[bytes, _Head] = {}

    def request(self, data: bytes, *, max_body_bytes: int) -> Request | None:
        """The one request that `data` is, if its head is known and its body whole."""
        end = data.find(_END, 0, _LONGEST) + len(_END)
        head = self._heads.get(data[:end])
        if head is None or len(data) != end + head.length or head.length > max_body_bytes:
            return None
        return Request(head.method, head.path, head.headers, data[end:], head.query)

    def learn(self, first: bytes, size: int, request: Request) -> bool:
        """Keep the head of `request`, which the parser made of `size` bytes, `first` and what followed.

        False where that is not sure to have been this request alone, from its first byte to its last.
        """
        end = first.find(_END) + len(_END)
        length = len(request.body)
        if size != end + length:
            return False
        if end <= _LONGEST and TRACEPARENT not in request.headers:  # which never comes again
            if len(self._heads) >= _MOST:
                del self._heads[next(iter(self._heads))]
            self._heads[first[:end]] = _Head(request.method, request.path, request.headers, request.query, length)
        return True


class Repeats:
    """One connection's use of the known heads: it has to know where a request begins.

    `completed` takes the requests that the parser makes of the bytes at hand and whose connection stays open.
    """

    def __init__(self, known: KnownHeads) -> None:
        self._known = known
        self._aligned = True  # all that came was whole requests: the next byte begins one
        self._first = b""
        self._size = 0
        self.completed: list[Request] = []

    def request(self, data: bytes, *, max_body_bytes: int) -> Request | None:
        """The request that `data` is; None where the parser has to look at it."""
        self.completed.clear()
        if self._aligned:
            request = self._known.request(data, max_body_bytes=max_body_bytes)
            if request is not None:
                return request
            self._aligned, self._first, self._size = False, data[:_LONGEST], 0
        self._size += len(data)
        return None

    def end(self) -> None:
        """No request is being received: learn from what was, and keep none of its bytes."""
        if len(self.completed) == 1:
            self._aligned = self._known.learn(self._first, self._size, self.completed[0])
        self.completed.clear()
        self._first = b""


def path_of(target: bytes) -> str:
    """Path of a request target, unquoted. A proxy's clients send a whole URL (RFC 9112 section 3.2.2)."""
    path = target.partition(b"?")[0].decode("latin-1")
    if not path.startswith("/") and "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return unquote(path) if "%" in path else path


def without_upgrade(method: bytes, target: bytes, version: bytes, headers: Mapping[bytes, bytes]) -> bytes:
    """A head without its wish to upgrade, and without its expectation, which was met."""
    lines = [b"%b %b HTTP/%b" % (method, target, version)]
    lines += [b"%b: %b" % (name, value) for name, value in headers.items() if name not in (b"upgrade", b"expect")]
    return b"\r\n".join([*lines, b"", b""])
