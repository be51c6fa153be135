"""One connection to the online store, for many reads at once.

redis-py takes 20 µs of the gateway's CPU for a command of a pipeline, this 1 µs: the commands of a read leave as one
write, and hiredis parses what comes back. Exchanges follow one another; whoever calls gathers what waits meanwhile.
"""

import asyncio
import ssl
from typing import Any

import hiredis
from redis.connection import SSLConnection, parse_url

_CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class StoreLostError(Exception):
    """The store cannot be reached, closed the connection, or answered with an error. `answered`: part of an answer had come."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


def command(*parts: bytes) -> bytes:
    """One command as the store takes it (RESP: an array of bulk strings)."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class OnlineConnection:
    """Connects when it is first needed, and again when the store closed the connection. `url` is as redis-py takes it."""

    def __init__(self, url: str) -> None:
        self._options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        self._wire: _Wire | None = None

    async def exchange(self, commands: bytes, count: int, deadline: float) -> list[Any]:
        """`count` replies to `commands` (RESP, whole) before `deadline` (event loop time).

        A connection that timed out is closed: its late replies must never answer other commands. One that the store
        closed while idle is replaced once (reads are idempotent). Raises StoreLostError or TimeoutError.
        """
        async with asyncio.timeout_at(deadline):
            try:
                return await self._exchange_once(commands, count)
            except StoreLostError as error:
                if error.answered:
                    raise
                return await self._exchange_once(commands, count)

    def close(self) -> None:
        """Close; the next exchange connects again."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _exchange_once(self, commands: bytes, count: int) -> list[Any]:
        try:
            if self._wire is None or not self._wire.usable:
                self._wire = await self._connected()
            replies = await self._wire.exchange(commands, count)
        except OSError as error:
            raise StoreLostError(f"{error}") from error
        except BaseException:
            self.close()
            raise
        refused = next((reply for reply in replies if isinstance(reply, hiredis.ReplyError)), None)
        if refused is not None:
            raise StoreLostError(f"the store answered: {refused}", answered=True)
        return replies

    async def _connected(self) -> "_Wire":
        o, loop = self._options, asyncio.get_running_loop()
        if "path" in o:
            _, wire = await loop.create_unix_connection(_Wire, o["path"])
        else:
            host = o.get("host", "localhost")
            _, wire = await loop.create_connection(_Wire, host, o.get("port", 6379), ssl=_tls(o))
        greeting = []
        if o.get("password"):
            greeting.append(command(b"AUTH", *(o[k].encode() for k in ("username", "password") if o.get(k))))
        if o.get("db"):
            greeting.append(command(b"SELECT", b"%d" % o["db"]))
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


class _Wire(asyncio.Protocol):
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
        """Send, wait for `count` replies. Raises StoreLostError."""
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
