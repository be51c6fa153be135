"""Compressed bodies, hostile ones among them."""

import asyncio
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.http import ApiError, Request, Response
from serving_gateway.v2.encoding import WORTHWHILE_BYTES, compressed, inflated, plain_body


def request(body: bytes = b"", **headers: str) -> Request:
    return Request("POST", "/v2", {name.replace("_", "-"): value for name, value in headers.items()}, body)


@given(st.binary(max_size=3000), st.sampled_from(["gzip", "deflate", "GZIP", "identity", ""]))
def test_a_body_comes_back_as_it_was(body: bytes, coding: str) -> None:
    pack = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding.lower(), bytes)
    sent = request(pack(body), content_encoding=coding) if coding else request(body)
    assert asyncio.run(plain_body(sent, max_bytes=3000)) == body


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_bomb_is_refused_without_being_held(pack: object) -> None:
    import tracemalloc

    bomb = pack(bytes(50_000_000))  # type: ignore[operator]
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(ApiError) as error:
        inflated(bomb, max_bytes=100_000)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (error.value.status, held < 2_000_000) == (413, True)
    assert "GATEWAY_MAX_BODY_BYTES" in error.value.message


@pytest.mark.parametrize("size", [99, 100, 101])
def test_the_limit_is_that_of_plain_bodies(size: int) -> None:
    body = gzip.compress(bytes(size), mtime=0)
    if size <= 100:
        assert inflated(body, max_bytes=100) == bytes(size)
    else:
        with pytest.raises(ApiError):
            inflated(body, max_bytes=100)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        gzip.compress(b"abc", mtime=0)[:-1],
        gzip.compress(b"abc", mtime=0) + b"x",
        gzip.compress(b"a", mtime=0) * 2,
    ],
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as error:
        inflated(body, max_bytes=100)
    assert error.value.status == 400


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "x"])
def test_another_coding_is_refused(coding: str) -> None:
    with pytest.raises(ApiError) as error:
        asyncio.run(plain_body(request(b"x", content_encoding=coding), max_bytes=100))
    assert error.value.status == 415


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br", "gzip"),
        ("deflate", "deflate"),
        ("br, Deflate;q=0.5", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.000", None),
        ("br", None),
        ("", None),
    ],
)
def test_an_answer_is_compressed_by_what_is_accepted(accept: str, coding: str | None) -> None:
    body = bytes(WORTHWHILE_BYTES)
    answer = compressed(Response(200, body, headers=(("x", "y"),)), request(accept_encoding=accept))
    headers = dict(answer.headers)
    assert headers.pop("content-encoding", None) == coding
    assert headers == {"x": "y"}
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(coding or "", bytes)
    assert unpack(answer.body) == body
    small = Response(200, body[1:])
    assert compressed(small, request(accept_encoding=accept)) is small
