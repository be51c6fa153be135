"""Accepting and draining over real sockets: whoever has asked is answered, and nobody's request meets a closed door."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine

import pytest
import uvloop

from serving_gateway.http import Request, Response
from serving_gateway.instruments.slots import SlotFile
from serving_gateway.routes import awaited
from serving_gateway.settings import Settings
from serving_gateway.transport.listening import CannotListenError, listening_socket
from serving_gateway.transport.server import HttpServer
from tests.servers import free_port

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handle = Callable[[Request], Awaitable[Response]]


async def ok(_: Request) -> Response:
    return Response(200, b"ok")


def settings() -> Settings:
    return Settings.load({"GATEWAY_PORT": str(free_port())})


async def started(handle: Handle = ok, listener: socket.socket | None = None) -> tuple[HttpServer, socket.socket]:
    """A server, and the socket that it accepts from, which a parent would keep."""
    listener = listener or listening_socket(settings())
    server = HttpServer(awaited(handle), settings(), listener.dup())
    await server.start()
    return server, listener


async def connected(listener: socket.socket) -> Streams:
    return await asyncio.open_connection(*listener.getsockname())


async def asked(streams: Streams, request: bytes = GET) -> tuple[bytes, bool]:
    """Body of the answer, and whether it says that the connection closes."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(2), b"connection: close" in head


def run(main: Callable[[], Coroutine[object, object, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            await main()

    uvloop.run(limited())


def test_an_idle_connection_may_ask_once_more() -> None:
    async def main() -> None:
        server, listener = await started()
        client = await connected(listener)
        assert await asked(client) == (b"ok", False)
        draining = asyncio.create_task(server.drain(grace_s=5))
        await asyncio.sleep(0.1)
        assert not draining.done()
        assert await asked(client) == (b"ok", True)
        assert await client[0].read() == b""
        await draining
        listener.close()

    run(main)


def test_an_idle_connection_is_closed_after_the_grace_and_not_before() -> None:
    async def main() -> None:
        server, listener = await started()
        client = await connected(listener)
        await asked(client)
        began = time.monotonic()
        await server.drain(grace_s=0.3)
        assert await client[0].read() == b""
        assert 0.3 <= time.monotonic() - began < 2
        listener.close()

    run(main)


def test_nobody_connected_nothing_to_wait_for() -> None:
    async def main() -> None:
        server, listener = await started()
        began = time.monotonic()
        await server.drain(grace_s=5)
        assert time.monotonic() - began < 1
        listener.close()

    run(main)


@pytest.mark.parametrize("cut", [1, 10, len(GET) - 1])
def test_a_request_of_which_a_part_has_come_is_awaited_after_the_grace(cut: int) -> None:
    async def main() -> None:
        server, listener = await started()
        client = await connected(listener)
        await asked(client)
        client[1].write(GET[:cut])
        draining = asyncio.create_task(server.drain(grace_s=0.1))
        await asyncio.sleep(0.4)
        assert await asked(client, GET[cut:]) == (b"ok", True)
        await draining
        listener.close()

    run(main)


def test_a_request_under_way_is_answered_after_the_grace() -> None:
    release = asyncio.Event()

    async def slow(_: Request) -> Response:
        await release.wait()
        return Response(200, b"ok")

    async def main() -> None:
        server, listener = await started(slow)
        client = await connected(listener)
        asking = asyncio.create_task(asked(client))
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(server.drain(grace_s=0.1))
        await asyncio.sleep(0.3)
        release.set()
        assert await asking == (b"ok", True)
        await draining
        listener.close()

    run(main)


def test_who_connected_before_the_door_closed_is_answered() -> None:
    """They wait in the socket's queue; when the last process lets go of it they would be reset."""

    async def main() -> None:
        server, listener = await started()
        loop = asyncio.get_running_loop()
        waiting = [socket.create_connection(listener.getsockname()) for _ in range(20)]  # in one turn of the loop
        for client in waiting:
            client.sendall(GET)
            client.setblocking(False)
        listener.close()
        draining = asyncio.create_task(server.drain(grace_s=2))
        for client in waiting:
            assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 200")
            client.close()
        await draining

    run(main)


def test_a_client_that_never_finishes_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving_gateway.transport.server.DRAIN_S", 0.5)

    async def main() -> None:
        server, listener = await started()
        client = await connected(listener)
        client[1].write(GET[:5])
        await client[1].drain()
        await asyncio.sleep(0.05)
        await server.drain(grace_s=0.1)
        listener.close()

    run(main)


def answering(name: bytes) -> Handle:
    async def handle(_: Request) -> Response:
        return Response(200, name)

    return handle


def test_who_has_fewer_connections_takes_the_next() -> None:
    async def main() -> None:
        files = [SlotFile(), SlotFile()]
        listener = listening_socket(settings())
        servers = [
            HttpServer(awaited(answering(b"#%d" % n)), settings(), listener.dup(), files[n], [files[1 - n]])
            for n in (0, 1)
        ]
        await servers[0].start()
        clients = [await connected(listener) for _ in range(10)]
        assert {(await asked(client))[0] for client in clients} == {b"#0"}
        await servers[1].start()
        clients += [await connected(listener) for _ in range(20)]
        answers = [(await asked(client))[0] for client in clients]
        assert answers[10:20].count(b"#1") >= 9  # until it has as many
        assert 14 <= answers.count(b"#1") <= 16
        assert {file.load for file in files} <= {15, 16, 17}  # connections, and one
        for client in clients:
            client[1].close()
        await asyncio.gather(*(server.drain(grace_s=1) for server in servers))
        assert [file.load for file in files] == [0, 0]
        listener.close()

    run(main)


def test_where_the_one_with_fewer_is_stuck_the_other_takes_all_the_same() -> None:
    async def main() -> None:
        stuck = SlotFile()
        stuck.load = 1
        listener = listening_socket(settings())
        server = HttpServer(awaited(ok), settings(), listener.dup(), SlotFile(), [stuck])
        await server.start()
        clients = [await connected(listener) for _ in range(10)]
        assert [(await asked(client))[0] for client in clients] == [b"ok"] * 10
        for client in clients:
            client[1].close()
        await server.drain(grace_s=1)
        listener.close()

    run(main)


class Exhausted(socket.socket):
    """For a while the process has no descriptor left."""

    refusals = 3
    asked = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        if self.asked <= self.refusals:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_out_of_descriptors_it_waits_instead_of_spinning(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        listener = listening_socket(settings())
        exhausted = Exhausted(fileno=listener.dup().detach())
        server = HttpServer(awaited(ok), settings(), exhausted)
        await server.start()
        client = await connected(listener)
        began = time.monotonic()
        assert await asked(client) == (b"ok", False)
        assert time.monotonic() - began > 0.2
        assert exhausted.asked == 4
        assert caplog.text.count("Too many open files") == 3
        client[1].close()
        await server.drain(grace_s=1)
        listener.close()

    run(main)


def test_a_socket_that_cannot_be_had_is_said_with_the_variable() -> None:
    wanted = settings()
    with listening_socket(wanted), pytest.raises(CannotListenError, match=f"port {wanted.port} .* GATEWAY_PORT"):
        listening_socket(wanted)
    with pytest.raises(CannotListenError, match="GATEWAY_HOST"):
        listening_socket(Settings.load({"GATEWAY_HOST": "192.0.2.1"}))


def test_ipv6() -> None:
    async def main() -> None:
        listener = listening_socket(Settings.load({"GATEWAY_HOST": "::1", "GATEWAY_PORT": str(free_port())}))
        server, _ = await started(listener=listener)
        assert await asked(await asyncio.open_connection(*listener.getsockname()[:2])) == (b"ok", False)
        await server.drain(grace_s=0)
        listener.close()

    run(main)
