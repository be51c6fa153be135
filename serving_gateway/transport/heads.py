"""Heads that were parsed before. A keep-alive client repeats its head byte for byte but for the body's length."""

from collections.abc import Mapping

from msgspec import Struct

from serving_gateway.http import Request

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
        if end <= _LONGEST:
            if len(self._heads) >= _MOST:
                del self._heads[next(iter(self._heads))]
            self._heads[first[:end]] = _Head(request.method, request.path, request.headers, request.query, length)
        return True
