"""Group commit of one arm: while a batch is in flight, arrivals wait and leave together; an idle lane sends at once."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from serving_gateway.arms import LoadedArm
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.recorder import Attribute, Recorder, Step
from serving_gateway.triton.errors import ScoreError

MAX_BATCH = 256
SINGLE_IN_FLIGHT = 16  # without group commit: as many as Triton's client has connections
TELLING_ROWS = 16  # what a smaller batch takes is mostly not its rows'
SURE_ROWS = 128  # so large a batch is believed at once, a smaller one by its share: the machine may have paused

_log = logging.getLogger(__name__)

Scored = Callable[[LoadedArm, Sequence[tuple[ScoringRow, float]]], None]
Failed = Callable[[LoadedArm, Sequence[ScoringRow], ScoreError], None]


class Lane:
    """The rows that wait for one arm's score. Only a row whose `asked` is still this arm is settled by it.

    Without `group_commit` the rows of each request go as a batch of their own, up to SINGLE_IN_FLIGHT at once.
    """

    def __init__(
        self,
        arm: LoadedArm,
        scored: Scored,
        failed: Failed,
        *,
        group_commit: bool,
        recorder: Recorder | None = None,
    ) -> None:
        self.arm = arm
        self._recorder = recorder
        self._scored = scored
        self._failed = failed
        self._group_commit = group_commit
        self._max_in_flight = 1 if group_commit else SINGLE_IN_FLIGHT
        self._waiting: deque[ScoringRow] = deque()
        self._alone: deque[list[ScoringRow]] = deque()  # calls whose batch was refused, each to be tried by itself
        self._working = 0
        self._in_flight = 0
        self._row_s = 0.0
        self._now = asyncio.get_running_loop().time

    @property
    def waiting(self) -> int:
        """Rows that wait for their batch."""
        return len(self._waiting)

    @property
    def wait_s(self) -> float:
        """How long a row that comes now has to wait, in seconds, by what the last rows took."""
        return (len(self._waiting) + self._in_flight) * self._row_s

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self._working

    def ask(self, rows: Sequence[ScoringRow]) -> None:
        """Have the arm score `rows`."""
        busy = self.arm.busy
        for row in rows:
            row.asked = self.arm
            row.queued = busy
        self._waiting.extend(rows)
        if self._working < self._max_in_flight:
            self._working += 1
            asyncio.get_running_loop().call_soon(self._send)  # not now: what came with it leaves with it

    def _send(self) -> None:
        """The next batch of one that works; nothing waits: it rests."""
        batch = self._next_batch()
        if not batch:
            self._working -= 1
            return
        self._in_flight += len(batch)
        if self.arm.busy:
            for row in batch:
                row.queued = True
        began = self._now()
        deadline = max([row.call.until(self.arm) for row in batch])
        recorder = self._recorder
        step = None if recorder is None else recorder.step("triton.infer", [row.call for row in batch], kind="client")

        def done(result: list[float] | ScoreError) -> None:
            if step is not None:
                self._end(step, len(batch), result)
            self._answered(batch, began, result)

        try:
            self.arm.ask([row.packed for row in batch], deadline, done, step.traceparent if step is not None else "")
        except Exception:  # noqa: BLE001  a bug: its rows come due at their deadlines, what waits goes on
            self._in_flight -= len(batch)
            _log.exception("a batch for %s broke", self.arm.arm.triton_model)
            asyncio.get_running_loop().call_soon(self._send)

    def _answered(self, batch: list[ScoringRow], began: float, result: list[float] | ScoreError) -> None:
        self._in_flight -= len(batch)
        self._learn(len(batch), self._now() - began)
        try:
            self._settle(batch, result)
        except Exception:  # noqa: BLE001  as above
            _log.exception("a batch for %s broke", self.arm.arm.triton_model)
        self._send()

    def _end(self, step: Step, rows: int, result: list[float] | ScoreError) -> None:
        about: dict[str, Attribute] = {
            "drift.arm": self.arm.name,
            "drift.model": self.arm.arm.triton_model,
            "drift.batch.rows": rows,
        }
        if isinstance(result, ScoreError):
            step.end(about | {"error.type": result.outcome}, str(result))
        else:
            step.end(about)

    def _learn(self, rows: int, took_s: float) -> None:
        """A small batch can only show that a row takes less than was thought: else one stall would be believed for ever."""
        row_s = took_s / rows / self._working
        if rows < TELLING_ROWS:
            self._row_s = min(row_s, self._row_s)
        else:
            self._row_s += (row_s - self._row_s) * min(1.0, rows / SURE_ROWS)

    def _settle(self, batch: list[ScoringRow], result: list[float] | ScoreError) -> None:
        """Where Triton refused the rows of several calls, each call is tried alone: one may have spoilt it for all."""
        arm = self.arm
        if isinstance(result, ScoreError):
            calls = {id(row.call): row.call for row in batch}
            if result.answered and len(calls) > 1:
                self._alone.extend([row for row in batch if row.call is call] for call in calls.values())
                return
            waiting = [row for row in batch if row.asked is arm]
            for row in waiting:
                row.asked = None
            if waiting:
                self._failed(arm, waiting, result)
            return
        pairs = [(row, score) for row, score in zip(batch, result, strict=True) if row.asked is arm]
        for row, _ in pairs:
            row.asked = None
        if pairs:
            self._scored(arm, pairs)

    def _next_batch(self) -> list[ScoringRow]:
        while self._alone:
            if alone := [row for row in self._alone.popleft() if row.asked is self.arm]:
                return alone
        waiting = self._waiting
        batch: list[ScoringRow] = []
        while waiting and len(batch) < MAX_BATCH:
            if batch and not self._group_commit and waiting[0].call is not batch[0].call:
                break
            row = waiting.popleft()
            if row.asked is self.arm:
                batch.append(row)
        return batch
