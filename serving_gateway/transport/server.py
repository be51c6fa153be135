"""Listen, serve until told to stop, drain."""

import asyncio
import errno

from serving_gateway.http import Handler
from serving_gateway.settings import Settings
from serving_gateway.transport.protocol import HttpProtocol

DRAIN_S = 10.0


class CannotListenError(Exception):
    """The address cannot be listened on; the message names the variable to change."""


class HttpServer:
    """A listening socket and its connections."""

    def __init__(self, handle: Handler, settings: Settings) -> None:
        self._handle = handle
        self._settings = settings
        self._connections: set[HttpProtocol] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises CannotListenError."""
        s = self._settings
        loop = asyncio.get_running_loop()

        def connection() -> HttpProtocol:
            return HttpProtocol(self._handle, self._connections, max_body_bytes=s.max_body_bytes)

        try:
            self._server = await loop.create_server(connection, s.host, s.port, backlog=1024)
        except OSError as error:
            raise CannotListenError(_why(error, s)) from error

    async def drain(self) -> None:
        """Accept no more, answer what was received, close; connections still busy after 10 s are left."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.drain()
        closed = [asyncio.ensure_future(c.closed.wait()) for c in self._connections]
        if closed:
            _, busy = await asyncio.wait(closed, timeout=DRAIN_S)
            for waiter in busy:
                waiter.cancel()


def _why(error: OSError, settings: Settings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {settings.port} on {settings.host} is taken: stop what listens there or set GATEWAY_PORT"
    return f"cannot listen on {settings.host}:{settings.port} (GATEWAY_HOST, GATEWAY_PORT): {error.strerror or error}"
