"""Scores calls: each row by the arm of its place, a failed canary's rows by the baseline within the same request."""

import asyncio
import logging
import time
from collections.abc import Callable, Container, Sequence

from serving_gateway.arms import LoadedArm
from serving_gateway.http import ApiError, unavailable
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.deadlines import Deadlines
from serving_gateway.scoring.lane import Lane
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.logs import Failures
from serving_gateway.tracing.recorder import Recorder
from serving_gateway.triton.errors import ScoreError

CANARY_SHARE = 0.5  # of the time that is left: the rest is kept for the fallback
WAIT_SHARE = 0.75  # of the time that is left: who would have to wait longer is refused at once
_log = logging.getLogger(__name__)
FAIR_SHARE = 0.25  # of the whole deadline: with less, a timeout is the feature read's, not the canary's


class Scorer:
    """Takes calls, and gives those whose rows are all scored, many at a time, to `finish`."""

    def __init__(
        self,
        metrics: Metrics,
        tripwire: Tripwire,
        finish: Callable[[Sequence[Call]], None],
        *,
        deadline_s: float,
        max_rows: int,
        group_commit: bool,
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._failures = Failures(_log)
        self._metrics = metrics
        self._tripwire = tripwire
        self._finish = finish
        self._fair_s = deadline_s * FAIR_SHARE
        self._max_rows = max_rows
        self._group_commit = group_commit
        self._lanes: dict[LoadedArm, Lane] = {}
        self._canary_deadlines = Deadlines(self._canary_is_late)
        self._stalled_at = 0.0  # event loop time at which the canary's last stall was seen

    def begin(self, call: Call) -> None:
        """Ask for the scores of the call's rows. Raises ApiError 503 where too many rows wait for an arm already."""
        served = call.served
        by_arm: dict[LoadedArm, list[ScoringRow]] = {}
        for row in call.rows:
            by_arm.setdefault(served.arm(row.place), []).append(row)
        lanes = [(self._lane(arm, by_arm), rows) for arm, rows in by_arm.items()]
        now = asyncio.get_running_loop().time()
        for lane, _ in lanes:
            # The canary's rows wait for half of the time at most, and fall back.
            late = lane.arm is not served.canary and lane.wait_s > (call.deadline - now) * WAIT_SHARE
            if late or lane.waiting >= self._max_rows:
                raise unavailable(f"overloaded: {lane.waiting} rows wait for {lane.arm.arm.triton_model}")
        for lane, rows in lanes:
            if lane.arm is served.canary:
                call.canary_until = now + (call.deadline - now) * CANARY_SHARE
                self._canary_deadlines.watch(call, call.canary_until)
            lane.ask(rows)

    def _lane(self, arm: LoadedArm, needed: Container[LoadedArm] = ()) -> Lane:
        lane = self._lanes.get(arm)
        if lane is None:
            # An arm comes with a change of the rollout: what served before it and has no work left is forgotten.
            self._lanes = {a: lane for a, lane in self._lanes.items() if a in needed or not lane.idle}
            lane = self._lanes[arm] = Lane(
                arm, self._scored, self._failed, group_commit=self._group_commit, recorder=self._recorder
            )
        return lane

    def _canary_is_late(self, call: Call) -> None:
        canary = call.served.canary
        rows = [row for row in call.rows if row.asked is canary]
        if canary is not None and rows:
            for row in rows:
                row.asked = None
            self._failed(canary, rows, ScoreError("timeout", f"{canary.arm.triton_model} did not answer in time"))

    def _scored(self, arm: LoadedArm, pairs: Sequence[tuple[ScoringRow, float]]) -> None:
        now = time.perf_counter()  # uvloop's own clock ticks in milliseconds
        if arm.name != "baseline":  # its rows may have failed on the canary, which stands
            for row, _ in pairs[1:]:  # one exchange is one success, as it would have been one failure
                row.charged = False
        finished = []
        latencies = []
        for row, score in pairs:
            call = row.call
            latency_s = now - call.started
            row.arm, row.score, row.latency_us = arm, score, int(latency_s * 1e6)
            latencies.append(latency_s)
            call.waiting -= 1
            if not call.waiting:
                finished.append(call)
        self._metrics.scored(arm.name, latencies)
        for call in finished:
            self._charge(call)
        self._finish(finished)

    def _failed(self, arm: LoadedArm, rows: Sequence[ScoringRow], error: ScoreError) -> None:
        self._metrics.failed(arm.name, error.outcome, len(rows))
        first = rows[0].call
        charged = arm is first.served.canary and (error.outcome != "timeout" or self._is_another_stall(first))
        if charged:
            first.canary_failed = True  # all that failed in one exchange are one failure: they do not say more than one
        for row in rows:
            call = row.call
            if arm is call.served.canary:
                row.fallback_from, row.fallback_outcome = "canary", error.outcome
                row.charged = charged and row is rows[0]
                self._lane(call.served.baseline).ask([row])
            elif error.outcome == "timeout":
                call.fail(ApiError(504, f"the baseline did not answer in time: {error}"))
            else:
                call.fail(unavailable(f"the baseline failed: {error}"))

    def _is_another_stall(self, call: Call) -> bool:
        """Whether the canary had time, and was asked after the last stall was seen: all who met one stall are one failure."""
        left = call.deadline - call.canary_until  # as long as the canary's share was
        if left < self._fair_s or call.canary_until - left < self._stalled_at:
            return False
        self._stalled_at = asyncio.get_running_loop().time()
        return True

    def _charge(self, call: Call) -> None:
        """Tell the reflex how the canary did, once the call is answered: where the baseline fails too, it is Triton or the world."""
        canary = call.served.canary
        if canary is None or not call.canary_until:
            return
        fallbacks = [row for row in call.rows if row.fallback_from is not None]
        if fallbacks:
            self._metrics.fallbacks.inc(len(fallbacks))
            told = (len(fallbacks), canary.arm.triton_model, fallbacks[0].fallback_outcome)
            ids = [row.prediction_id for row in fallbacks]
            self._failures.warn("%d rows fell back from %s: %s", *told, **call.ids, prediction_ids=ids)
        if call.canary_failed or not fallbacks:
            self._tripwire.observe(canary.arm.triton_model, failed=call.canary_failed)
