"""A bounded pool of keep-alive connections to one Triton."""

import asyncio

from serving_gateway.triton.connection import Connection, ConnectionLostError
from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import Reply, get_request

POOL_SIZE = 16


class TritonClient:
    """Exchanges with a deadline, over at most `size` connections; the last used is used next, so idle ones age out."""

    def __init__(self, address: str, *, size: int = POOL_SIZE) -> None:
        self.address = address
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []

    async def exchange(self, request: bytes, deadline: float) -> Reply:
        """Send `request`, return the reply before `deadline` (event loop time).

        A connection that timed out is closed: its late reply must never answer another request. One that Triton closed
        while idle is replaced once (inference is idempotent). Raises ScoreError, outcome `timeout` or `error`.
        """
        try:
            async with asyncio.timeout_at(deadline), self._free:
                try:
                    return await self._exchange_once(request)
                except ConnectionLostError as error:
                    if error.answered:
                        raise
                    self._close_idle()
                    return await self._exchange_once(request)
        except TimeoutError:
            raise ScoreError("timeout", f"Triton at {self.address} did not answer in time") from None
        except (OSError, ConnectionLostError) as error:
            raise ScoreError("error", f"Triton at {self.address} cannot be reached: {error}") from error

    async def is_ready(self, model: str, deadline: float) -> bool:
        """Whether Triton would score with `model` now."""
        try:
            reply = await self.exchange(get_request(self.address, f"/v2/models/{model}/ready"), deadline)
        except ScoreError:
            return False
        return reply.status == 200

    def close(self) -> None:
        """Close every idle connection."""
        self._close_idle()

    async def _exchange_once(self, request: bytes) -> Reply:
        connection = await self._take()
        reply = await connection.exchange(request)
        if connection.usable:
            self._idle.append(connection)
        return reply

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)
        return connection

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()
