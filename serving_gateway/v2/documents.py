"""JSON of the protocol, which may hold NaN and infinities: Triton reads and writes them, msgspec does neither."""

import json
from typing import TypeVar

import msgspec

from serving_gateway.http import ApiError

T = TypeVar("T")
_NOT_FINITE = (b"NaN", b"Infinity")


def decoded(document: bytes, kind: type[T]) -> T:
    """`document` as `kind`; members that it does not name are passed over. Raises ApiError 400 with the reason."""
    try:
        return _by_python(document, kind) if _holds_not_finite(document) else msgspec.json.decode(document, type=kind)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"the request is not as the protocol says: {error}") from None
    except RecursionError:
        raise ApiError(400, "the request is nested too deeply") from None
    except ValueError as error:  # of msgspec, of json, of UTF-8
        raise ApiError(400, f"the request is not JSON: {error}") from None


def _holds_not_finite(document: bytes) -> bool:
    return any(word in document for word in _NOT_FINITE)


def _by_python(document: bytes, kind: type[T]) -> T:
    return msgspec.convert(json.loads(document), kind)
