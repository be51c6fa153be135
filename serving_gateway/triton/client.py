"""A bounded pool of keep-alive connections to one Triton."""

import asyncio
from collections import deque
from collections.abc import Callable

from serving_gateway.triton.connection import Connection, ConnectionLostError
from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import Reply, get_request

POOL_SIZE = 16


class _Exchange:
    """A request on its way: it waits for a place, connects, or has been sent over its connection."""

    __slots__ = ("connecting", "connection", "deadline", "done", "request", "retried")

    def __init__(self, request: bytes, done: Callable[[Reply | ScoreError], None]) -> None:
        self.request = request
        self.done = done
        self.deadline: asyncio.TimerHandle | None = None
        self.connection: Connection | None = None
        self.connecting: asyncio.Task[None] | None = None
        self.retried = False


class TritonClient:
    """Exchanges with a deadline, over at most `size` connections; the last used is used next, so idle ones age out."""

    def __init__(self, address: str, *, size: int = POOL_SIZE) -> None:
        self.address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._free = size
        self._idle: list[Connection] = []
        self._waiting: deque[_Exchange] = deque()

    def send(self, request: bytes, deadline: float, done: Callable[[Reply | ScoreError], None]) -> None:
        """Send `request`; `done` is called once, later: with the reply, or at `deadline` (event loop time) at the latest.

        A connection that timed out is closed: its late reply must never answer another request. One that Triton closed
        while idle is replaced once (inference is idempotent). The outcome of a ScoreError is `timeout` or `error`.
        """
        exchange = _Exchange(request, done)
        exchange.deadline = asyncio.get_running_loop().call_at(deadline, self._late, exchange)
        if self._free:
            self._free -= 1
            self._start(exchange)
        else:
            self._waiting.append(exchange)

    async def exchange(self, request: bytes, deadline: float) -> Reply:
        """Send `request`, return the reply before `deadline`, as `send` says. Raises ScoreError."""
        reply: asyncio.Future[Reply | ScoreError] = asyncio.get_running_loop().create_future()
        self.send(request, deadline, lambda result: None if reply.done() else reply.set_result(result))
        result = await reply
        if isinstance(result, ScoreError):
            raise result
        return result

    async def is_ready(self, model: str, deadline: float) -> bool:
        """Whether Triton would score with `model` now."""
        try:
            reply = await self.exchange(get_request(self.address, f"/v2/models/{model}/ready"), deadline)
        except ScoreError:
            return False
        return reply.status == 200

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def _start(self, exchange: _Exchange) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                self._send_over(connection, exchange)
                return
        exchange.connecting = asyncio.get_running_loop().create_task(self._connect(exchange))

    async def _connect(self, exchange: _Exchange) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        except OSError as error:
            self._end(exchange, self._unreachable(error))
        else:
            self._send_over(connection, exchange)

    def _send_over(self, connection: Connection, exchange: _Exchange) -> None:
        exchange.connection = connection
        connection.send(exchange.request, lambda result: self._answered(exchange, result))

    def _answered(self, exchange: _Exchange, result: Reply | ConnectionLostError) -> None:
        if isinstance(result, ConnectionLostError):
            if result.answered or exchange.retried:
                self._end(exchange, self._unreachable(result))
                return
            exchange.retried, exchange.connection = True, None
            self.close()  # those that are idle will have been closed too
            self._start(exchange)
            return
        if exchange.connection is not None and exchange.connection.usable:
            self._idle.append(exchange.connection)
        self._end(exchange, result)

    def _late(self, exchange: _Exchange) -> None:
        if exchange.connection is not None:
            exchange.connection.abandon()
        elif exchange.connecting is not None:
            exchange.connecting.cancel()
        else:
            self._waiting.remove(exchange)
            exchange.done(self._timeout())
            return
        self._end(exchange, self._timeout())

    def _end(self, exchange: _Exchange, result: Reply | ScoreError) -> None:
        if exchange.deadline is not None:
            exchange.deadline.cancel()
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._free += 1
        exchange.done(result)

    def _timeout(self) -> ScoreError:
        return ScoreError("timeout", f"Triton at {self.address} did not answer in time")

    def _unreachable(self, error: Exception) -> ScoreError:
        return ScoreError("error", f"Triton at {self.address} cannot be reached: {error}")
