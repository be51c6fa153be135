"""The shadow scores answered rows in the background: bounded, drop-first, batched. It never touches an answer."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import Outcome, PairedRecord, PairedScore
from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.split import sampled
from serving_gateway.triton.errors import ScoreError

MAX_BATCH = 256
_SALT = "shadow"


class _Waiting(Struct, frozen=True):
    prediction_id: str
    event_time_us: int
    packed: bytes
    arm: LoadedArm


class Shadow:
    """Queue and worker. While a batch is in flight the next one gathers."""

    def __init__(self, spool: Spool, metrics: Metrics, *, max_rows: int, timeout_s: float) -> None:
        self._spool = spool
        self._metrics = metrics
        self._max_rows = max_rows
        self._timeout_s = timeout_s
        self._queue: deque[_Waiting] = deque()
        self._filled = asyncio.Event()

    def offer(self, served: Served, rows: Iterable[ScoringRow]) -> None:
        """Queue the sampled rows that the shadow's model did not answer itself. What does not fit is dropped, counted."""
        shadow, fraction = served.shadow, served.state.shadow_fraction
        if shadow is None:
            return
        for row in rows:
            answered_by = row.arm.arm.triton_model if row.arm else None
            if answered_by == shadow.arm.triton_model or not sampled(_SALT, row.prediction_id, fraction):
                continue
            if len(self._queue) >= self._max_rows:
                self._metrics.shadow_dropped.inc()
                continue
            self._queue.append(_Waiting(row.prediction_id, row.event_time_us, row.packed, shadow))
        if self._queue:
            self._filled.set()

    async def run(self) -> None:
        """Score what waits, forever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._score(self._next_batch())

    def _next_batch(self) -> list[_Waiting]:
        """The oldest rows that wait for the same arm."""
        arm = self._queue[0].arm
        batch: list[_Waiting] = []
        while self._queue and self._queue[0].arm is arm and len(batch) < MAX_BATCH:
            batch.append(self._queue.popleft())
        return batch

    async def _score(self, batch: list[_Waiting]) -> None:
        arm, started = batch[0].arm, time.perf_counter()
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        outcome: Outcome = "ok"
        scores: list[float | None]
        try:
            scores = list(await arm.score([row.packed for row in batch], deadline))
        except ScoreError as error:
            outcome, scores = error.outcome, [None] * len(batch)
        latency_s = time.perf_counter() - started
        self._metrics.scored("shadow", outcome, len(batch), latency_s)
        records = [
            PairedRecord(
                prediction_id=row.prediction_id,
                event_time_us=row.event_time_us,
                paired=PairedScore(
                    arm="shadow",
                    model_version=arm.arm.version,
                    triton_model=arm.arm.triton_model,
                    outcome=outcome,
                    score=score,
                    latency_us=int(latency_s * 1e6),
                ),
            )
            for row, score in zip(batch, scores, strict=True)
        ]
        self._spool.append([encode_record(record) for record in records])
