"""One keep-alive connection to Triton, one exchange at a time."""

import asyncio

import httptools

from serving_gateway.triton.messages import Reply

MAX_REPLY_BYTES = 64 * 1024 * 1024


class ConnectionLostError(Exception):
    """The connection ended before a whole reply. `answered`: bytes of the reply had come."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class Connection(asyncio.Protocol):
    """asyncio Protocol of one connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answered = False
        self.on_message_begin()

    @property
    def usable(self) -> bool:
        """Whether another exchange may start."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close; an exchange under way fails with ConnectionLostError."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes) -> Reply:
        """Send and wait for the reply. Raises ConnectionLostError; a cancelled exchange closes the connection."""
        if self._transport is None or not self.usable:
            raise ConnectionLostError("the connection was closed while idle")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        self._answered = False
        try:
            return await self._reply
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._reply = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection ended."""
        self._transport = None
        self._fail(f"Triton closed the connection{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of a reply."""
        if self._reply is None:  # nothing was asked: the stream is out of step
            self.close()
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"malformed reply: {error}")
            self.close()

    def on_message_begin(self) -> None:
        """A reply starts."""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._size += len(data)
        if self._size > MAX_REPLY_BYTES:
            raise ValueError(f"reply larger than {MAX_REPLY_BYTES} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The reply is whole."""
        reply = Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))
        if not self._parser.should_keep_alive():
            self.close()
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def _fail(self, message: str) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionLostError(message, answered=self._answered))
