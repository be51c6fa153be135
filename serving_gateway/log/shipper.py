"""Ships spooled frames to the Redis stream, at least once, and deletes segments whose records have landed.

What Redis forgot is sent again: whenever Redis restarted (its run id) or lost its data while running (a marker beside the
stream), shipping starts over from the landed offsets. Readers deduplicate.
"""

import asyncio
import logging
import secrets
import time

import redis.asyncio
from redis.exceptions import RedisError

from serving_gateway.contracts.prediction_log import StreamBatch, encode_records
from serving_gateway.control import keys
from serving_gateway.log.segment import Segment
from serving_gateway.log.spool import Spool

BATCH_BYTES = 256 * 1024
CHECK_S = 1.0
GATHER_S = 0.05
_log = logging.getLogger(__name__)


class Shipper:
    """Background task over one spool. `wake` is called after every append."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
        self._redis = client
        self._wake = asyncio.Event()
        self._memory = ("", b"")
        self._checked_at = float("-inf")

    def wake(self) -> None:
        """There is something to ship."""
        self._wake.set()

    async def run(self, spool: Spool) -> None:
        """Ship until cancelled; Redis may come and go."""
        in_step = True
        while True:
            try:
                await self.step(spool)
                in_step = True
            except (RedisError, OSError, TimeoutError, ValueError) as error:  # ValueError: a landed offset that is none
                if in_step:
                    _log.warning("prediction log: Redis does not take records, they wait in the spool: %s", error)
                in_step = False
                self._checked_at = float("-inf")
            await self._pause()

    async def step(self, spool: Spool) -> None:
        """Ship everything that waits, and once a second look at what has landed."""
        if time.monotonic() - self._checked_at >= CHECK_S:
            await self._check(spool)
        for segment in list(spool.segments):
            while segment.shipped < segment.size:
                payloads, end = segment.read(BATCH_BYTES)
                if payloads:
                    await self._ship(segment, payloads, end)
                else:
                    spool.cut(segment)

    async def _ship(self, segment: Segment, payloads: list[bytes], end: int) -> None:
        batch = StreamBatch(segment=segment.name, start=segment.shipped, end=end, records=encode_records(payloads))
        await self._redis.xadd(keys.PREDICTIONS, batch.to_fields())  # type: ignore[arg-type]  # invariant dict
        segment.shipped = end

    async def _check(self, spool: Spool) -> None:
        memory = await self._read_memory()
        segments = list(spool.segments)
        names = [segment.name for segment in segments]
        offsets = [int(v or 0) for v in await self._redis.hmget(keys.LANDED, names)] if names else []
        landed = list(zip(segments, offsets, strict=True))
        if memory != self._memory:
            for segment, offset in landed:
                segment.shipped = min(offset, segment.size)
            self._memory = memory
        for segment, offset in landed:
            if offset >= segment.size and segment.shipped >= segment.size and not spool.is_open(segment):
                spool.delete(segment)
                await self._redis.hdel(keys.LANDED, segment.name)
        self._checked_at = time.monotonic()

    async def _read_memory(self) -> tuple[str, bytes]:
        """Run id and marker: while both stay the same, Redis still has what was put into it."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("server")
        pipeline.set(keys.LIFE, secrets.token_hex(8), nx=True)
        pipeline.get(keys.LIFE)
        server, _, marker = await pipeline.execute()
        return (server["run_id"], marker)

    async def _pause(self) -> None:
        """Until there is something to ship, a second at most; a little longer, so that records leave together."""
        try:
            async with asyncio.timeout(CHECK_S):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(GATHER_S)
