"""One keep-alive connection to Triton, one exchange at a time."""

import asyncio
from collections.abc import Callable

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
        self._done: Callable[[Reply | ConnectionLostError], None] | None = None
        self._whole: Reply | None = None
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

    def abandon(self) -> None:
        """Close; nobody waits for the reply any more."""
        self._done = None
        self.close()

    def send(self, request: bytes, done: Callable[[Reply | ConnectionLostError], None]) -> None:
        """Send; `done` is called once, later, with the reply or with what became of the connection."""
        self._done = done
        self._answered = False
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().call_soon(self._fail, "the connection was closed while idle")
        else:
            self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection ended."""
        self._transport = None
        self._fail(f"Triton closed the connection{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of a reply."""
        if self._done is None:  # nothing was asked: the stream is out of step
            self.close()
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close()
            if self._whole is None:
                self._fail(f"malformed reply: {error}")
        if self._whole is not None:
            reply, self._whole = self._whole, None
            self._tell(reply)

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
        self._whole = Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))
        if not self._parser.should_keep_alive():
            self.close()

    def _fail(self, message: str) -> None:
        self._tell(ConnectionLostError(message, answered=self._answered))

    def _tell(self, result: Reply | ConnectionLostError) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)
