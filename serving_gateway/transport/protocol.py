"""One HTTP/1.1 connection: parse, hand over, answer in order.

Requests of one connection are handled one after another, so pipelined answers keep their order; reading pauses while
too many wait, so a client cannot make the gateway hold more than it handles. No task is made for a request: its handler
is called, and calls back.
"""

import asyncio
from collections import deque
from math import inf

import httptools

from serving_gateway.http import ApiError, Handler, Headers, Request, Response, traced
from serving_gateway.tracing.trace import TRACEPARENT, begun
from serving_gateway.transport.bodies import Bodies
from serving_gateway.transport.heads import KnownHeads, Repeats, path_of, without_upgrade
from serving_gateway.transport.messages import CONTINUE, Connection, response_bytes
from serving_gateway.transport.refusals import MAX_HEADER_BYTES, body_too_large, headers_too_large, malformed

MAX_WAITING = 16  # pipelined requests parsed but not yet answered


class HttpProtocol(asyncio.Protocol):
    """Serves `handle` on one connection. Shared by all of them: `connections`, those open; `bodies`, what they hold; `known`."""

    def __init__(
        self,
        handle: Handler,
        connections: "set[HttpProtocol]",
        *,
        max_body_bytes: int,
        bodies: Bodies | None = None,
        known: KnownHeads | None = None,
    ) -> None:
        self._handle = handle
        self._connections = connections
        self._max_body = max_body_bytes
        self._repeats = Repeats(known or KnownHeads())
        self._bodies = bodies or Bodies(inf)
        self._held = 0  # bytes of bodies received and not yet handed over
        self._now = asyncio.get_running_loop().time
        self.heard_at = self._now()  # when the last whole request came
        self._part_since = self._unread_since = self._closing_since = inf
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request | Response, Connection]] = deque()
        self._serving = False
        self._dispatching = False
        self._without_body = False
        self._request: Request | None = None  # which is being answered
        self._connection: Connection = ""
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()
        self._writable = True
        self._draining = False
        self._refused = False
        self._paused = False
        self._completed_one = False
        self.on_message_begin()
        self._receiving = False

    # --- connection -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the client is connected."""
        self._transport = transport  # type: ignore[assignment]
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """asyncio: the client is gone. What is being answered is finished, so that it is logged once."""
        self._connections.discard(self)
        self._transport = None
        self.closed.set()
        self._waiting.clear()
        self._body.clear()  # parser and protocol hold each other: the collector may come late
        self._release(self._held)

    def eof_received(self) -> bool:
        """asyncio: the client sends no more. What it asked is answered before the connection closes."""
        self._draining = True
        if self._receiving:
            self._refuse(ApiError(400, "the request is cut short"))
        return self._serving or bool(self._waiting)

    def pause_writing(self) -> None:
        """asyncio: the client reads too slowly."""
        self._writable = False
        self._unread_since = self._now()

    def resume_writing(self) -> None:
        """asyncio: the client caught up."""
        self._writable = True
        self._unread_since = inf
        self._dispatch()

    def drain(self) -> None:
        """Answer what was received, or the next request where nothing was, then close."""
        self._draining = True

    def close_if_idle(self) -> None:
        """Close, unless a request is being received or answered."""
        if not self._serving and not self._receiving and not self._waiting and self._transport:
            self._transport.close()

    @property
    def waits_for_client(self) -> bool:
        """Whether nothing is being answered: the client has to send or to read first."""
        return not self._serving

    def leave(self) -> None:
        """Close now, to make room; what the client has not read is lost."""
        if self._transport:
            self._transport.abort()

    def give_up(self, before: float) -> None:
        """End what has waited for the client since `before` (event loop time): the rest of a request, or a reader."""
        if min(self._unread_since, self._closing_since) < before:
            self.leave()
        elif self._receiving and not self._paused and self._part_since < before:
            self._refuse(ApiError(408, "the request did not come whole in time (GATEWAY_RECEIVE_MS)"))

    # --- parsing: httptools calls the on_* methods ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes arrived."""
        request = self._repeats.request(data, max_body_bytes=self._max_body)
        if request is not None:
            self._receive_known(request)
            return
        while data and not self._refused:
            data = self._parse(data)
        if self._receiving and self._part_since == inf:
            self._part_since = self._now()
        if not self._receiving:
            self._repeats.end()

    def _parse(self, data: bytes) -> bytes:
        """Parse. Returns what is to be parsed again where a wish to upgrade stopped the parser, else nothing."""
        self._completed_one = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if b"upgrade" in self._headers:
                return self._without_upgrade(data[upgrade.args[0] :])
            self._refused = True  # CONNECT: answered and closed, what follows is for someone else
        except httptools.HttpParserCallbackError as error:
            self._refuse(error.__context__ if isinstance(error.__context__, ApiError) else malformed(error))
        except httptools.HttpParserError as error:
            self._refuse(malformed(error))
        else:
            # Bytes behind a completed request cannot be told from its own: they are not held against the next one.
            if not (self._headers_complete or self._completed_one):
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEADER_BYTES:
                    self._refuse(headers_too_large())
        return b""

    def on_message_begin(self) -> None:
        """A request starts."""
        self._receiving = True
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._header_bytes = 0
        self._headers_complete = False

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._url += url
        self._header_bytes += len(url)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise headers_too_large()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line. Lines of one name are joined, as RFC 9110 section 5.3 says."""
        self._header_bytes += len(name) + len(value) + 4
        if self._header_bytes > MAX_HEADER_BYTES:
            raise headers_too_large()
        if self._headers_complete:
            return  # a trailer says nothing that is looked at: it must not pass for a header
        name = name.lower()
        self._headers[name] = b"%b, %b" % (self._headers[name], value) if name in self._headers else value

    def on_headers_complete(self) -> None:
        """Refuse what cannot be framed safely or is too large, before its body is read."""
        self._headers_complete = True
        length = self._headers.get(b"content-length")
        if length is not None and b"transfer-encoding" in self._headers:
            raise ApiError(400, "send Content-Length or Transfer-Encoding, not both")
        if length is not None and length.isdigit() and int(length) > self._max_body:
            raise body_too_large(self._max_body)
        expected = self._headers.get(b"expect")
        if expected is None:
            return
        if expected.lower() != b"100-continue":
            raise ApiError(417, "the only expectation supported is 100-continue")
        if length != b"0" and not self._serving and self._transport:
            self._transport.write(CONTINUE)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body:
            raise body_too_large(self._max_body)
        self._hold(len(data))
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The request is whole, or its head is, where the parser takes the rest for another protocol's."""
        if self._parser.should_upgrade() and b"upgrade" in self._headers:
            return
        self._completed_one = True
        self._receiving = False
        method = self._parser.get_method().decode("latin-1")
        query = self._url.partition(b"?")[2].partition(b"#")[0].decode("latin-1")
        request = Request(method, path_of(self._url), Headers(self._headers), b"".join(self._body), query)
        self._body = []
        if not self._parser.should_keep_alive() or self._parser.should_upgrade():
            self._receive(request, "close")
        elif self._parser.get_http_version() == "1.0":
            self._receive(request, "keep-alive")
        else:
            self._repeats.completed.append(request)
            self._receive(request, "")

    def _receive_known(self, request: Request) -> None:
        try:
            self._hold(len(request.body))
        except ApiError as error:
            self._refuse(error)
        else:
            self._receive(request, "")

    def _receive(self, request: Request, connection: Connection) -> None:
        self._part_since = inf
        self.heard_at = self._now()
        self._enqueue(request, connection)
        if self._has_enough() and self._transport:
            self._paused = True
            self._transport.pause_reading()

    def _without_upgrade(self, rest: bytes) -> bytes:
        """The request again for a new parser, without its wish to upgrade and what else was seen to, and `rest`.

        No other protocol is spoken here, so the wish is ignored (RFC 9110 section 7.8); the old parser skipped the body.
        """
        method, version = self._parser.get_method(), self._parser.get_http_version().encode()
        self._parser = httptools.HttpRequestParser(self)
        return without_upgrade(method, self._url, version, self._headers) + rest

    # --- answering --------------------------------------------------------------------------------------------------

    def _refuse(self, error: ApiError) -> None:
        """The stream cannot be followed further: answer what came before, then this error, then close."""
        # what came before a request began belongs to none: the headers at hand are those of the last one
        trace = begun(Headers(self._headers).get(TRACEPARENT) if self._receiving else None)
        self._refused = True
        self._receiving = False
        self._release(sum(map(len, self._body)))
        self._body = []
        self._enqueue(traced(error.response(path_of(self._url)), trace), "close")

    def _has_enough(self) -> bool:
        return len(self._waiting) >= MAX_WAITING or self._held > self._max_body

    def _hold(self, size: int) -> None:
        self._bodies.take(size)
        self._held += size

    def _release(self, size: int) -> None:
        self._held -= size
        self._bodies.give(size)

    def _enqueue(self, request: Request | Response, connection: Connection) -> None:
        self._waiting.append((request, connection))
        self._dispatch()

    def _dispatch(self) -> None:
        """Hand over what waits, one at a time. A handler may answer at once: the loop, not recursion, goes on then."""
        if self._dispatching:
            return
        self._dispatching = True
        while self._waiting and not self._serving and self._writable and self._is_open():
            request, self._connection = self._waiting.popleft()
            self._serving = True
            if isinstance(request, Response):
                self._without_body, self._request = False, None
                self._respond(request)
            else:
                self._without_body, self._request = request.method == "HEAD", request
                self._release(len(request.body))
                self._handle(request, self._respond)
        self._dispatching = False

    def _is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def _respond(self, response: Response) -> None:
        """Answer the request that is being served."""
        self._serving = False
        request, self._request = self._request, None
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        connection: Connection = "close" if self._draining and not self._waiting else self._connection
        trace = request.trace if request is not None else None
        transport.write(response_bytes(response, connection=connection, without_body=self._without_body, trace=trace))
        if connection == "close":
            self._waiting.clear()
            self._close(transport)
            return
        if not self._refused and self._paused and not self._has_enough():
            self._paused = False
            self._part_since = self._now()
            transport.resume_reading()
        self._dispatch()

    def _close(self, transport: asyncio.Transport) -> None:
        """Close. Who was refused may be sending still: to close on unread bytes would take the answer away."""
        self._closing_since = self._now()
        if not self._refused or self._draining:
            transport.close()
            return
        if self._paused:
            transport.resume_reading()
        transport.write_eof()
