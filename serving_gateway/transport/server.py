"""Accept from a listening socket that others may share, serve until told to stop, drain."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from serving_gateway.http import Handler, traced, unavailable
from serving_gateway.instruments.slots import SlotFile
from serving_gateway.settings import Settings
from serving_gateway.tracing.trace import begun
from serving_gateway.transport.bodies import Bodies
from serving_gateway.transport.heads import KnownHeads
from serving_gateway.transport.listening import allow_descriptors, listening_socket
from serving_gateway.transport.messages import response_bytes
from serving_gateway.transport.protocol import HttpProtocol

GRACE_S = 1.5  # idle connections may ask once more for so long after the gateway was told to stop
DRAIN_S = 7.0  # in all; a supervisor that loses patience after 10 s must not have to kill
YIELD_S = 0.005  # for so long a worker with fewer connections may take a new one first
SETTLE_S = 0.01  # what is in the socket's buffer is read by then
RETRY_S = 0.1
SWEEP_S = 0.5  # how exactly the limit of slow clients is kept
MAX_BODIES = 32  # so many bodies of full size may be on their way at once
FURTHER_DESCRIPTORS = 256  # for Triton, Redis, the log
_log = logging.getLogger(__name__)


class _Connections(set[HttpProtocol]):
    """The open ones. How many there are, the other workers see."""

    def __init__(self, own: SlotFile) -> None:
        super().__init__()
        self._own = own

    def add(self, connection: HttpProtocol) -> None:
        """One more."""
        super().add(connection)
        self._tell()

    def discard(self, connection: object) -> None:
        """One less."""
        super().discard(connection)
        self._tell()

    def _tell(self) -> None:
        if self._own.load:
            self._own.load = 1 + len(self)


class HttpServer:
    """The connections of one process. `listener` is the socket to accept from; None: its own.

    `others` accept from it too; those with fewer connections go first.
    """

    def __init__(
        self,
        handle: Handler,
        settings: Settings,
        listener: socket.socket | None = None,
        own: SlotFile | None = None,
        others: Sequence[SlotFile] = (),
    ) -> None:
        self._handle = handle
        self._settings = settings
        self._listener = listener
        self._own = own or SlotFile()
        self._others = others
        self._connections = _Connections(self._own)
        self._known = KnownHeads()
        self._bodies = Bodies(MAX_BODIES * settings.max_body_bytes)
        self._arriving: set[asyncio.Task[Any]] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Accept connections. Raises CannotListenError."""
        self._listener = self._listener or listening_socket(self._settings)
        self._own.load = 1
        allow_descriptors(self._settings.max_connections + FURTHER_DESCRIPTORS)
        self._listen()
        self._sweep()

    async def drain(self, *, grace_s: float = GRACE_S) -> None:
        """Accept no more, answer what was received and what comes within `grace_s`, close. Ends within DRAIN_S.

        Every answer says that its connection closes; one that stays idle is closed when the grace is over, so that no
        client finds it gone with a request on its way.
        """
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        self._own.load = 0
        asyncio.get_running_loop().remove_reader(listener)
        while self._accept(listener):  # connected before we stopped: the last worker to leave has to answer them
            pass
        listener.close()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for connection in list(self._connections):
            connection.drain()
        await self._left(grace_s)
        await asyncio.sleep(SETTLE_S)
        for connection in list(self._connections):
            connection.close_if_idle()
        await self._left(DRAIN_S - grace_s)
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _sweep(self) -> None:
        """Give up on clients that take too long to send or to read; again and again."""
        loop = asyncio.get_running_loop()
        before = loop.time() - self._settings.receive_ms / 1000
        for connection in list(self._connections):
            connection.give_up(before)
        self._sweeping = loop.call_later(SWEEP_S, self._sweep)

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._on_connection, self._listener)

    def _pause(self, listener: socket.socket, pause_s: float, then: Callable[[], object]) -> None:
        """The socket stays readable: do not spin."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(pause_s, then)

    def _on_connection(self, listener: socket.socket) -> None:
        """Somebody connected: all workers are woken, and without a rule the same one would be first each time."""
        if any(0 < other.load < self._own.load for other in self._others):
            self._pause(listener, YIELD_S, self._after_yielding)
        else:
            self._accept(listener)

    def _after_yielding(self) -> None:
        """Take it in any case: whoever should have may be stuck."""
        if self._listener is not None:
            self._listen()
            self._accept(self._listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection, and leave the next to whoever is first. False: none waits, or none can be taken now."""
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            _log.error("cannot accept a connection: %s", error)
            self._pause(listener, RETRY_S, self._listen)
            return False
        if len(self._connections) >= self._settings.max_connections and not self._made_room():
            _turn_away(accepted)
            return True
        arriving = loop.create_task(loop.connect_accepted_socket(self._connection, accepted))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)
        return True

    def _made_room(self) -> bool:
        """Close the connection that has been without a whole request for longest, be it idle or slow. False: all are busy."""
        waiting = [connection for connection in self._connections if connection.waits_for_client]
        if waiting:
            min(waiting, key=lambda connection: connection.heard_at).leave()
        return bool(waiting)

    def _connection(self) -> HttpProtocol:
        return HttpProtocol(
            self._handle,
            self._connections,
            max_body_bytes=self._settings.max_body_bytes,
            bodies=self._bodies,
            known=self._known,
        )

    async def _left(self, timeout_s: float) -> None:
        """Until every client has left."""
        waits = [asyncio.ensure_future(connection.closed.wait()) for connection in self._connections]
        if waits:
            _, staying = await asyncio.wait(waits, timeout=timeout_s)
            for waiter in staying:
                waiter.cancel()


def _turn_away(accepted: socket.socket) -> None:
    """Answer 503 before anything is read; a fresh socket has room for it."""
    busy = unavailable("all connections are busy (GATEWAY_MAX_CONNECTIONS)").response()
    with accepted, suppress(OSError):
        accepted.setblocking(False)
        accepted.send(response_bytes(traced(busy, begun(None)), connection="close"))
