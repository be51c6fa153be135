"""Compressed bodies: undone within the body limit, and made where the caller takes them and it pays."""

import asyncio
import zlib

import msgspec

from serving_gateway.http import ApiError, Request, Response

WORTHWHILE_BYTES = 1024  # below, a compressed answer saves no packet
_LEVEL = 1
_WBITS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}  # in order of preference
_EITHER = zlib.MAX_WBITS | 32  # on the way in, zlib looks which of the two it is


async def plain_body(request: Request, *, max_bytes: int) -> bytes:
    """The request's body as it was before compression; off the event loop, for a few bytes may grow to `max_bytes`.

    Raises ApiError 413 where it would grow larger, 400 where it is broken, 415 for another coding than gzip or deflate.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        return request.body
    if coding not in _WBITS:
        raise ApiError(415, f"Content-Encoding {coding} is not understood: send gzip, deflate or none")
    return await asyncio.to_thread(inflated, request.body, max_bytes=max_bytes)


def inflated(data: bytes, *, max_bytes: int) -> bytes:
    """`data` (gzip or zlib) decompressed, never holding more than `max_bytes` + 1. Raises ApiError 413 or 400."""
    inflater = zlib.decompressobj(_EITHER)
    try:
        plain = inflater.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise ApiError(400, f"the body cannot be decompressed: {error}") from None
    if len(plain) > max_bytes:
        raise ApiError(413, f"the decompressed body is larger than {max_bytes} bytes (GATEWAY_MAX_BODY_BYTES)")
    if not inflater.eof or inflater.unused_data:
        raise ApiError(400, "the compressed body is cut short, or something follows it")
    return plain


def compressed(response: Response, request: Request) -> Response:
    """`response` by the coding that the request accepts, where it is large enough to gain by it."""
    coding = _accepted(request.headers.get("accept-encoding", ""))
    if coding is None or len(response.body) < WORTHWHILE_BYTES:
        return response
    body = zlib.compress(response.body, _LEVEL, wbits=_WBITS[coding])
    headers = (*response.headers, ("content-encoding", coding))
    return msgspec.structs.replace(response, body=body, headers=headers)


def _accepted(header: str) -> str | None:
    """The best of our codings that is accepted, None where none is. A weight of 0 is a refusal."""
    codings: dict[str, str] = {}
    for part in header.split(","):
        name, _, weight = part.partition(";")
        codings[name.strip().lower()] = weight.replace(" ", "").lower()
    return next((name for name in _WBITS if name in codings and codings[name].rstrip("0") not in ("q=", "q=0.")), None)
