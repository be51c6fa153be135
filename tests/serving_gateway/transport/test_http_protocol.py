"""The Protocol over raw sockets: framing, order, limits, refusals."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from serving_gateway.http import Request, Response
from serving_gateway.routes import awaited
from serving_gateway.transport.bodies import Bodies
from serving_gateway.transport.protocol import MAX_WAITING, HttpProtocol
from serving_gateway.transport.refusals import MAX_HEADER_BYTES

MAX_BODY = 1000
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(request: Request) -> Response:
    """Answers with method, path, body; waits a turn, the longer the shorter the path, to tempt answers out of order."""
    await asyncio.sleep(0.002 * max(0, 6 - len(request.path)))
    return Response(200, f"{request.method} {request.path} ".encode() + request.body, "text/plain")


def talk(script: Talk, handle: Callable[[Request], Awaitable[Response]] = echo) -> None:
    async def main() -> None:
        connections: set[HttpProtocol] = set()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: HttpProtocol(awaited(handle), connections, max_body_bytes=MAX_BODY), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(5):
            await script(reader, writer)
        writer.close()
        server.close()

    asyncio.run(main())


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


def exchange(sent: bytes, count: int = 1, *, chunk: int = 0) -> list[tuple[int, dict[str, str], bytes]]:
    found = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(sent), chunk or len(sent)):
            writer.write(sent[at : at + (chunk or len(sent))])
            await writer.drain()
            await asyncio.sleep(0)
        found.extend([await answer(reader) for _ in range(count)])
        if "connection" in found[-1][1]:
            assert await reader.read() == b""

    talk(script)
    return found


POST = b"POST /abc?q=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
GET = b"GET /%C3%A9 HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_request_and_its_answer() -> None:
    [(status, headers, body)] = exchange(POST)
    assert (status, body) == (200, b"POST /abc hello")
    assert headers == {"content-type": "text/plain", "content-length": "15"}


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_pipelined_answers_keep_their_order_however_the_bytes_arrive(chunk: int) -> None:
    sent = b"".join(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"p" * (n % 6 + 1)) for n in range(3 * MAX_WAITING))
    bodies = [body for _, _, body in exchange(sent, 3 * MAX_WAITING, chunk=chunk)]
    assert bodies == [b"GET /%b " % (b"p" * (n % 6 + 1)) for n in range(3 * MAX_WAITING)]


def test_a_body_for_which_the_others_leave_no_room_is_told_to_come_back_until_one_of_them_is_gone() -> None:
    async def main() -> list[int]:
        connections: set[HttpProtocol] = set()
        held = asyncio.Event()

        class Shared(Bodies):
            def take(self, size: int) -> None:
                super().take(size)
                held.set()

        shared = Shared(8)
        server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(awaited(echo), connections, max_body_bytes=MAX_BODY, bodies=shared), "127.0.0.1", 0
        )
        first, second, third = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(3)]
        first[1].write(POST[:-1])
        await held.wait()
        second[1].write(POST)
        refused, *_ = await answer(second[0])
        first[1].write(POST[-1:])
        served, *_ = await answer(first[0])
        third[1].write(POST)
        again, *_ = await answer(third[0])
        for _, writer in (first, second, third):
            writer.close()
        server.close()
        return [refused, served, again]

    assert asyncio.run(asyncio.wait_for(main(), 5)) == [503, 200, 200]


def test_a_path_is_unquoted() -> None:
    assert exchange(GET)[0][2] == "GET /é ".encode()


def test_chunked_bodies() -> None:
    sent = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert exchange(sent)[0][2] == b"POST / abcde"


def test_http_1_0_and_close_end_the_connection() -> None:
    for sent in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"):
        assert exchange(sent)[0][1]["connection"] == "close"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):  # a client of 1.0 believes in a kept connection only when told
            writer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (await answer(reader))[1]["connection"] == "keep-alive"

    talk(script)


def test_head_has_a_length_and_no_body() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + POST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 7" in head
        assert (await answer(reader))[2] == b"POST /abc hello"

    talk(script)


def test_expect_100_continue() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert (await answer(reader))[2] == b"POST / ok"

    talk(script)


BIG = b"x" * (MAX_HEADER_BYTES + 1)
REFUSED = [
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001, 413),
    (b"GET / HTTP/1.1\r\nA: " + BIG + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nA: " + BIG, 431),
    (b"GET /" + BIG, 431),
    (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000, 431),
    (b"POST / HTTP/1.1\r\nExpect: a-miracle\r\nContent-Length: 1\r\n\r\nx", 417),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED)
def test_what_cannot_be_followed_is_answered_and_closed(sent: bytes, status: int) -> None:
    [(found, headers, body)] = exchange(sent)
    assert (found, headers["connection"]) == (status, "close")
    assert b'"path":"$"' in body


def test_answers_before_a_malformed_request_still_come() -> None:
    found = exchange(POST + b"nonsense\r\n\r\n", 2)
    assert [status for status, _, _ in found] == [200, 400]


UPGRADE = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@pytest.mark.parametrize("chunk", [0, 1, 50])
@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"GET /abc HTTP/1.1\r\n" + UPGRADE + b"\r\n", b"GET /abc "),
        (b"POST /abc?q HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 5\r\n\r\nhello", b"POST /abc hello"),
        (
            b"POST /abc HTTP/1.1\r\n" + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"POST /abc hello",
        ),
    ],
)
def test_a_wish_to_upgrade_is_ignored(sent: bytes, body: bytes, chunk: int) -> None:
    found = exchange(sent + sent + POST, 3, chunk=chunk)
    assert [(status, text) for status, _, text in found] == [(200, body), (200, body), (200, b"POST /abc hello")]
    assert all("connection" not in headers for _, headers, _ in found)


def test_a_wish_to_upgrade_lifts_no_limit() -> None:
    head = b"POST /abc HTTP/1.1\r\n" + UPGRADE
    assert exchange(head + b"Content-Length: 1001\r\n\r\n")[0][0] == 413
    assert exchange(head + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"a" * 1001)[0][0] == 413


def test_many_wishes_to_upgrade_in_one_piece() -> None:
    sent = b"GET /answered-at-once HTTP/1.1\r\n" + UPGRADE + b"\r\n"
    assert {status for status, _, _ in exchange(sent * 1500, 1500)} == {200}


def test_connect_is_answered_and_closed() -> None:
    [(status, headers, _)] = exchange(b"CONNECT x:1 HTTP/1.1\r\n" + UPGRADE + b"\r\n")
    assert (status, headers["connection"]) == (200, "close")


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://x:1/abc?q=/", b"/abc"), (b"http://x", b"/"), (b"http://x/a%20b", b"/a b"), (b"/a://b", b"/a://b")],
)
def test_a_whole_url_names_its_path(target: bytes, path: bytes) -> None:
    assert exchange(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)[0][2] == b"GET %b " % path


def test_nothing_is_to_be_continued_where_there_is_no_body() -> None:
    sent = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"
    assert exchange(sent)[0][0] == 200


def test_draining_answers_what_was_received_and_closes() -> None:
    async def main() -> None:
        connections: set[HttpProtocol] = set()
        entered, release = asyncio.Event(), asyncio.Event()

        async def handle(_: Request) -> Response:
            entered.set()
            await release.wait()
            return Response(200, b"done")

        server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(awaited(handle), connections, max_body_bytes=MAX_BODY), "127.0.0.1", 0
        )
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(POST)
        await entered.wait()
        for connection in connections:
            connection.drain()
        release.set()
        status, headers, _ = await answer(reader)
        assert (status, headers["connection"]) == (200, "close")
        assert await reader.read() == b""
        writer.close()
        server.close()

    asyncio.run(main())


def test_a_client_that_leaves_early_hurts_nobody() -> None:
    finished = asyncio.Event()

    async def handle(request: Request) -> Response:
        await asyncio.sleep(0.05)
        finished.set()
        return Response(200, request.body)

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(POST)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.close()
        await finished.wait()
        await asyncio.sleep(0)

    talk(script, handle)


def test_a_client_that_sends_without_end_is_read_only_as_fast_as_it_is_answered() -> None:
    async def main() -> None:
        connections: set[HttpProtocol] = set()
        release = asyncio.Event()

        async def handle(_: Request) -> Response:
            await release.wait()
            return Response(200, b"done")

        server = await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(awaited(handle), connections, max_body_bytes=MAX_BODY), "127.0.0.1", 0
        )
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        sent = 20_000
        writer.write(POST * sent)
        await asyncio.sleep(0.5)  # time enough to read it all, were it read
        waiting = len(next(iter(connections))._waiting)
        assert MAX_WAITING <= waiting < sent / 2  # what one read of the socket brought
        writer.transport.abort()
        release.set()
        server.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_a_long_pipeline_in_one_piece_is_not_taken_for_one_long_header() -> None:
    request = b"GET /answered-at-once HTTP/1.1\r\nHost: x\r\n\r\n"
    count = 4 * MAX_HEADER_BYTES // len(request)
    found = exchange(request * count + request[:20], count)
    assert {status for status, _, _ in found} == {200}
