"""JSON of the protocol, which may hold NaN and infinities: Triton reads and writes them, msgspec does neither."""

import json
from typing import TypeVar

import msgspec

from serving_gateway.http import ApiError

T = TypeVar("T")
_NOT_FINITE = (b"NaN", b"Infinity")
_UNREADABLE = (ValueError, RecursionError)  # msgspec's, json's and the decoder's errors are ValueErrors


def decoded(document: bytes, kind: type[T]) -> T:
    """A caller's `document` as `kind`; members that it does not name are passed over. Raises ApiError 400."""
    try:
        if any(word in document for word in _NOT_FINITE):
            return _by_python(document, kind)
        return msgspec.json.decode(document, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"the request is not as the protocol says: {error}") from None
    except _UNREADABLE as error:
        raise ApiError(400, f"the request is not JSON: {error}") from None


def without_values(document: bytes) -> bytes:
    """`document` with 0 for NaN and infinities, for those who look past the values: msgspec is fast at passing over them."""
    for word in (*_NOT_FINITE, b"Inf"):
        document = document.replace(word, b"0")
    return document


def tritons(document: bytes, kind: type[T]) -> T:
    """Triton's `document` as `kind`. Raises ApiError 502 where it is none."""
    try:
        return _by_python(document, kind)
    except _UNREADABLE as error:
        raise ApiError(502, f"Triton's reply cannot be read: {error}") from error


def written(document: object) -> bytes:
    """`document` as JSON, NaN and infinities as Triton writes them."""
    return json.dumps(document, separators=(",", ":")).encode()


def _by_python(document: bytes, kind: type[T]) -> T:
    return msgspec.convert(json.loads(document), kind)
