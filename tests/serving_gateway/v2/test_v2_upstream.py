"""What Triton receives and what comes back of a request that is passed through, byte for byte."""

import asyncio

import pytest

from serving_gateway.http import ApiError, Request, Response
from serving_gateway.triton.client import TritonClient
from serving_gateway.triton.messages import Reply
from serving_gateway.v2.upstream import Upstream, passed_back


async def received(request: Request, **named: object) -> tuple[list[str], bytes, Reply]:
    """Start line and headers as a server got them, the body, and the reply."""
    heads: list[str] = []
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        heads.extend(head.strip().split("\r\n"))
        length = next(line for line in heads if line.startswith("content-length"))
        bodies.append(await reader.readexactly(int(length.partition(":")[2])))
        writer.write(b"HTTP/1.1 200 OK\r\nX-Mine: yes\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = TritonClient(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    reply = await Upstream(client).send(request, asyncio.get_running_loop().time() + 5, **named)  # type: ignore[arg-type]
    client.close()
    server.close()
    return heads, bodies[0], reply


def test_only_hop_by_hop_lengths_and_credentials_are_ours() -> None:
    headers = {
        "content-type": "a/b", "inference-header-content-length": "3", "x-mine": "caf\xe9", "accept-encoding": "gzip",
        "host": "gateway", "content-length": "999", "content-encoding": "gzip", "connection": "close, X-Hop", "x-hop": "1",
        "transfer-encoding": "chunked", "te": "trailers", "expect": "100-continue", "authorization": "secret",
    }  # fmt: skip
    request = Request("POST", "/v2/models/a b\r\n?#%2F/infer", headers, b"compressed")
    heads, body, _ = asyncio.run(received(request, body=b"plain", compressible=True))
    assert heads[0] == "POST /v2/models/a%20b%0D%0A%3F%23%252F/infer HTTP/1.1"
    assert sorted(heads[3:]) == [
        "accept-encoding: gzip", "content-type: a/b", "inference-header-content-length: 3", "x-mine: caf\xe9",
    ]  # fmt: skip
    assert (heads[1].startswith("host: 127.0.0.1:"), heads[2], body) == (True, "content-length: 5", b"plain")


def test_a_reply_that_is_read_here_is_not_asked_for_compressed() -> None:
    heads, _, reply = asyncio.run(received(Request("HEAD", "/v2", {"accept-encoding": "gzip"}, b""), path="/v2/x"))
    assert heads[0] == "GET /v2/x HTTP/1.1"
    assert len(heads) == 3
    assert passed_back(reply) == Response(200, b"ok", "a/b", (("x-mine", "yes"),))


@pytest.mark.parametrize("status", [100, 101, 199, 299, 499, 999])
def test_a_status_that_nobody_knows_is_not_passed_on(status: int) -> None:
    with pytest.raises(ApiError, match=f"status {status}"):
        passed_back(Reply(status, {}, b""))


@pytest.mark.parametrize("status", [200, 400, 404, 500, 501, 503])
def test_a_reply_is_passed_on_as_it_is(status: int) -> None:
    headers = {"content-type": "text/plain", "content-encoding": "gzip", "connection": "close", "content-length": "1"}
    answer = passed_back(Reply(status, headers, b"x"))
    assert answer == Response(status, b"x", "text/plain", (("content-encoding", "gzip"),))
