"""Accept from a listening socket that others may share, serve until told to stop, drain."""

import asyncio
import logging
import socket
from typing import Any

from serving_gateway.settings import Settings
from serving_gateway.transport.listening import listening_socket
from serving_gateway.transport.protocol import Handler, HttpProtocol

GRACE_S = 1.5  # idle connections may ask once more for so long after the gateway was told to stop
DRAIN_S = 7.0  # in all; a supervisor that loses patience after 10 s must not have to kill
SETTLE_S = 0.01  # what is in the socket's buffer is read by then
RETRY_S = 0.1
_log = logging.getLogger(__name__)


class HttpServer:
    """The connections of one process. `listener` is the socket to accept from; None: its own."""

    def __init__(self, handle: Handler, settings: Settings, listener: socket.socket | None = None) -> None:
        self._handle = handle
        self._settings = settings
        self._listener = listener
        self._connections: set[HttpProtocol] = set()
        self._arriving: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Accept connections. Raises CannotListenError."""
        self._listener = self._listener or listening_socket(self._settings)
        self._listen()

    async def drain(self, *, grace_s: float = GRACE_S) -> None:
        """Accept no more, answer what was received and what comes within `grace_s`, close. Ends within DRAIN_S.

        Every answer says that its connection closes; one that stays idle is closed when the grace is over, so that no
        client finds it gone with a request on its way.
        """
        if self._listener is None:
            return
        listener, self._listener = self._listener, None
        asyncio.get_running_loop().remove_reader(listener)
        while self._accept(listener):  # connected before we stopped: the last worker to leave has to answer them
            pass
        listener.close()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        for connection in self._connections:
            connection.drain()
        await self._left(grace_s)
        await asyncio.sleep(SETTLE_S)
        for connection in list(self._connections):
            connection.close_if_idle()
        await self._left(DRAIN_S - grace_s)

    def _listen(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Take one connection, and leave the next to whichever worker is first: an event loop's own server takes all."""
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:
            _log.error("cannot accept a connection: %s", error)
            loop.remove_reader(listener)  # it stays readable: do not spin
            loop.call_later(RETRY_S, self._listen)
            return False
        arriving = loop.create_task(loop.connect_accepted_socket(self._connection, accepted))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)
        return True

    def _connection(self) -> HttpProtocol:
        return HttpProtocol(self._handle, self._connections, max_body_bytes=self._settings.max_body_bytes)

    async def _left(self, timeout_s: float) -> None:
        """Until every client has left."""
        waits = [asyncio.ensure_future(connection.closed.wait()) for connection in self._connections]
        if waits:
            _, staying = await asyncio.wait(waits, timeout=timeout_s)
            for waiter in staying:
                waiter.cancel()
