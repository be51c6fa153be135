"""Scores prepared rows: each arm's rows as one batch, a failed canary answered by the baseline in the same request."""

import asyncio
import time
from collections.abc import Sequence

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.http import ApiError, unavailable
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.triton.errors import ScoreError

CANARY_SHARE = 0.5  # of the time that is left: the rest is kept for the fallback
FAIR_SHARE = 0.25  # of the whole deadline: with less, a timeout is the feature read's, not the canary's


class Scorer:
    """Fills `arm`, `score`, `latency_us` and `fallback_from` of rows."""

    def __init__(self, metrics: Metrics, tripwire: Tripwire, *, deadline_s: float) -> None:
        self._metrics = metrics
        self._tripwire = tripwire
        self._fair_s = deadline_s * FAIR_SHARE

    async def score(self, served: Served, rows: Sequence[ScoringRow], *, started: float, deadline: float) -> None:
        """Score every row before `deadline` (event loop time). Latency counts from `started` (`time.perf_counter`).

        Raises ApiError 504 when the baseline does not answer in time, 503 when it fails.
        """
        canary = served.canary
        for_canary = [row for row in rows if row.to_canary] if canary is not None else []
        for_baseline = [row for row in rows if not row.to_canary] if for_canary else list(rows)
        work = []
        if for_baseline:
            work.append(self._by_baseline(served, for_baseline, started, deadline))
        if canary is not None and for_canary:
            work.append(self._by_canary(served, canary, for_canary, started, deadline))
        if len(work) == 1:
            await work[0]
        else:
            await asyncio.gather(*work)

    async def _by_canary(
        self, served: Served, canary: LoadedArm, rows: list[ScoringRow], started: float, deadline: float
    ) -> None:
        now = asyncio.get_running_loop().time()
        slice_s = (deadline - now) * CANARY_SHARE
        try:
            await self._batch(canary, rows, started, now + slice_s)
        except ScoreError as error:
            await self._by_baseline(served, rows, started, deadline, fallback_from="canary")
            # Charged only now: where the baseline fails too, it is Triton or the world, and no canary's fault.
            if error.outcome != "timeout" or slice_s >= self._fair_s:
                self._tripwire.observe(canary.arm.triton_model, failed=True)
            self._metrics.fallbacks.inc(len(rows))
        else:
            self._tripwire.observe(canary.arm.triton_model, failed=False)

    async def _by_baseline(
        self,
        served: Served,
        rows: list[ScoringRow],
        started: float,
        deadline: float,
        *,
        fallback_from: ArmName | None = None,
    ) -> None:
        try:
            await self._batch(served.baseline, rows, started, deadline)
        except ScoreError as error:
            if error.outcome == "timeout":
                raise ApiError(504, f"the baseline did not answer in time: {error}") from error
            raise unavailable(f"the baseline failed: {error}") from error
        for row in rows:
            row.fallback_from = fallback_from

    async def _batch(self, arm: LoadedArm, rows: list[ScoringRow], started: float, deadline: float) -> None:
        try:
            scores = await arm.score([row.packed for row in rows], deadline)
        except ScoreError as error:
            self._metrics.scored(arm.name, error.outcome, len(rows), 0.0)
            raise
        latency_s = time.perf_counter() - started  # uvloop's own clock ticks in milliseconds
        self._metrics.scored(arm.name, "ok", len(rows), latency_s)
        for row, score in zip(rows, scores, strict=True):
            row.arm, row.score, row.latency_us = arm, score, int(latency_s * 1e6)
