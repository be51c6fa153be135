"""One connection to a Redis: commands leave as one write, hiredis parses what comes back; one exchange at a time."""

import asyncio
import ssl
from typing import Any

import hiredis
from redis.connection import SSLConnection

from serving_gateway.contracts.online_address import Node

_CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class StoreLostError(Exception):
    """The store cannot be reached, closed the connection, or answered with an error. `answered`: part of an answer had come."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


def command(*parts: bytes) -> bytes:
    """One command as the store takes it (RESP: an array of bulk strings)."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class Wire(asyncio.Protocol):
    """asyncio Protocol of one connection, one exchange at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._replies: list[Any] = []
        self._count = 0
        self._done: asyncio.Future[list[Any]] | None = None

    @property
    def usable(self) -> bool:
        """Whether an exchange may start."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close now."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, commands: bytes, count: int) -> list[Any]:
        """Send, wait for `count` replies; the store's errors are among them (hiredis.ReplyError). Raises StoreLostError."""
        if self._transport is None or not self.usable:
            raise StoreLostError("the store closed the connection while it was idle")
        self._replies, self._count = [], count
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(commands)
        try:
            return await self._done
        finally:
            self._done = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the connection ended."""
        self._transport = None
        self._fail(f"the store closed the connection{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of replies."""
        if self._done is None or self._done.done():  # nothing was asked: the stream is out of step
            self.close()
            return
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
        except hiredis.HiredisError as error:
            self._fail(f"the store's answer is malformed: {error}")
            self.close()
            return
        if len(self._replies) >= self._count:
            self._done.set_result(self._replies)

    def _fail(self, message: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(StoreLostError(message, answered=bool(self._replies)))


async def connected(node: Node | None, options: dict[str, Any]) -> Wire:
    """A wire to `node` (None: to the unix socket of the options), logged in and with its database chosen.

    Raises OSError or StoreLostError.
    """
    loop = asyncio.get_running_loop()
    if node is None:
        _, wire = await loop.create_unix_connection(Wire, options["path"])
    else:
        _, wire = await loop.create_connection(Wire, *node, ssl=_tls(options))
    greeting = []
    if options.get("password"):
        login = (options[k].encode() for k in ("username", "password") if options.get(k))
        greeting.append(command(b"AUTH", *login))
    if options.get("db"):
        greeting.append(command(b"SELECT", b"%d" % options["db"]))
    try:
        replies = await wire.exchange(b"".join(greeting), len(greeting)) if greeting else []
    except BaseException:  # a deadline in the middle of it too: nobody else knows this connection
        wire.close()
        raise
    refused = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)
    if refused is not None:
        wire.close()
        raise StoreLostError(f"the store refused the connection: {refused}", answered=True)
    return wire


def _tls(options: dict[str, Any]) -> ssl.SSLContext | None:
    """The TLS context of a rediss:// URL with redis-py's options, None for plain TCP."""
    if options.get("connection_class") is not SSLConnection:
        return None
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"), capath=options.get("ssl_ca_path"))
    required = _CERT_REQS[str(options.get("ssl_cert_reqs", "required"))]
    context.check_hostname = required == ssl.CERT_REQUIRED and options.get("ssl_check_hostname", True)
    context.verify_mode = required
    if options.get("ssl_certfile"):
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context
