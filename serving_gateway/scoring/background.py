"""Scores answered rows in the background by an arm that did not answer them: bounded, drop-first, batched.

The shadow scores what others answered; in reverse, the baseline scores what the canary was asked for, so that the two can
be compared row by row whichever answered, and whether or not the canary failed. Nothing of it touches an answer.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import Outcome, PairedRecord, PairedScore
from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.contracts.split import sampled
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.recorder import Attribute, Recorder
from serving_gateway.triton.errors import ScoreError

MAX_BATCH = 256
GATHER_S = 0.005  # nobody waits for these scores, and larger batches cost less
YIELDS = 20  # times GATHER_S at the most, while the model has other work
YIELDING_ROWS = 64  # from here on it does not wait: whoever comes next would wait behind a larger batch
_SALT = "shadow"


class Background:
    """The queues of the background arms and the one worker each of them has while rows wait."""

    def __init__(
        self, spool: Spool, metrics: Metrics, *, max_rows: int, timeout_s: float, recorder: Recorder | None = None
    ) -> None:
        self._recorder = recorder
        self._spool = spool
        self._metrics = metrics
        self._max_rows = max_rows
        self._timeout_s = timeout_s
        self._queues: dict[LoadedArm, deque[ScoringRow]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._rows = 0

    def offer(self, calls: Iterable[Call]) -> None:
        """Queue the rows of answered calls for the arms that compare. What does not fit is dropped, counted."""
        for call in calls:
            shadow, reverse, fraction = call.served.shadow, call.served.reverse, call.served.state.shadow_fraction
            for row in call.rows:
                by = row.arm.arm.triton_model if row.arm else None
                # What fell back from the canary too: else where rows are dropped, its failures would be left
                if reverse is not None and (row.arm is call.served.canary or row.fallback_from == "canary"):
                    self._queue(reverse, row)
                if shadow is not None and by != shadow.arm.triton_model and sampled(_SALT, row.prediction_id, fraction):
                    self._queue(shadow, row)

    async def drain(self, *, timeout_s: float) -> None:
        """Wait for what is queued, but no longer than `timeout_s`: the rest was never promised."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=timeout_s)
        for worker in self._workers:
            worker.cancel()

    def _queue(self, arm: LoadedArm, row: ScoringRow) -> None:
        if self._rows >= self._max_rows:
            self._metrics.shadow_dropped.inc()
            return
        self._rows += 1
        queue = self._queues.get(arm)
        if queue is not None:
            queue.append(row)
            return
        self._queues[arm] = deque([row])
        worker = asyncio.get_running_loop().create_task(self._work(arm))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)

    async def _work(self, arm: LoadedArm) -> None:
        """Score what waits for `arm`; while a batch is in flight the next one gathers. Ends when nothing waits."""
        queue = self._queues[arm]
        try:
            while queue:
                await self._gather(arm, queue)
                batch = [queue.popleft() for _ in range(min(len(queue), MAX_BATCH))]
                self._rows -= len(batch)
                await self._score(arm, batch)
        finally:  # whatever ended it: who comes next starts another
            self._rows -= len(queue)
            del self._queues[arm]

    async def _gather(self, arm: LoadedArm, queue: deque[ScoringRow]) -> None:
        """Who waits for an answer of the model goes first, for a while or until so many rows wait that they would take long."""
        for _ in range(YIELDS):
            await asyncio.sleep(GATHER_S)
            if not arm.busy or len(queue) >= YIELDING_ROWS:
                return

    async def _score(self, arm: LoadedArm, batch: list[ScoringRow]) -> None:
        started, began_ns = time.perf_counter(), time.time_ns()
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        outcome: Outcome = "ok"
        scores: list[float | None]
        try:
            found = await arm.score([row.packed for row in batch], deadline)
            scores = list(found)
        except ScoreError as error:
            outcome, scores = error.outcome, [None] * len(batch)
        latency_s = time.perf_counter() - started
        if self._recorder is not None:
            about: dict[str, Attribute] = {
                "drift.arm": arm.name,
                "drift.model": arm.arm.triton_model,
                "drift.batch.rows": len(batch),
            }
            self._recorder.linked(
                "background.infer",
                [row.call for row in batch],
                began_ns=began_ns,
                attributes=about,
                error="" if outcome == "ok" else outcome,
            )
        if outcome == "ok":
            self._metrics.scored("shadow", [latency_s] * len(batch))
            self._compare(arm, batch, found)
        else:
            self._metrics.failed("shadow", outcome, len(batch))
        model, latency_us = arm.arm, int(latency_s * 1e6)
        self._spool.append(
            [
                encode_record(
                    PairedRecord(
                        prediction_id=row.prediction_id,
                        event_time_us=row.event_time_us,
                        paired=PairedScore(
                            arm=arm.name,
                            model_version=model.version,
                            triton_model=model.triton_model,
                            outcome=outcome,
                            score=score,
                            latency_us=latency_us,
                            charged=row is batch[0],
                        ),
                    )
                )
                for row, score in zip(batch, scores, strict=True)
            ]
        )

    def _compare(self, arm: LoadedArm, batch: Sequence[ScoringRow], scores: Sequence[float]) -> None:
        """Count how far `arm` is from what was answered. In reverse, it is the canary that was compared."""
        threshold = arm.contract.decision_threshold
        model = arm.arm.triton_model  # a row that fell back to it would be compared with itself
        pairs = [(r, s) for r, s in zip(batch, scores, strict=True) if r.answered_by.arm.triton_model != model]
        self._metrics.compared(
            "shadow" if arm.name == "shadow" else "canary",
            [abs(score - row.score) for row, score in pairs],
            sum((score >= threshold) != row.decision for row, score in pairs),
        )
