"""The canary's path without a server: who scores which row, the fallback in the same request, what is charged."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from serving_gateway.http import ApiError
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.scoring.score import Scorer
from serving_gateway.triton.errors import ScoreError
from tests.serving_gateway.scoring.scripted import Charges, ScriptedArm, failing, row, served_by, value

DEADLINE_S = 0.2


class Fixture:
    """A scorer, its metrics and its charges."""

    def __init__(self, folder: Path) -> None:
        self.metrics, self.charges = Metrics(), Charges(folder)
        self.scorer = Scorer(self.metrics, self.charges, deadline_s=DEADLINE_S)

    def score(self, served: Served, rows: Sequence[ScoringRow], *, left_s: float = DEADLINE_S) -> None:
        async def run() -> None:
            deadline = asyncio.get_running_loop().time() + left_s
            await self.scorer.score(served, rows, started=time.perf_counter(), deadline=deadline)

        asyncio.run(run())


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


def answers(rows: Sequence[ScoringRow]) -> list[tuple[str | None, float, str | None]]:
    return [(r.arm.name if r.arm else None, r.score, r.fallback_from) for r in rows]


def test_each_arm_scores_its_rows_as_one_batch_and_order_is_kept(fixture: Fixture) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", 0.9)
    rows = [row(n, to_canary=n % 3 == 0) for n in range(6)]
    fixture.score(served_by(baseline, canary=canary), rows)
    assert answers(rows) == [("canary", 0.9, None) if n % 3 == 0 else ("baseline", 0.1, None) for n in range(6)]
    assert (baseline.batches, canary.batches) == ([4], [2])
    assert fixture.charges.failed == [False]


def test_rows_of_a_canary_that_is_not_used_here_are_the_baselines(fixture: Fixture) -> None:
    baseline = ScriptedArm("baseline", 0.1)
    rows = [row(1, to_canary=True), row(2)]
    fixture.score(served_by(baseline), rows)
    assert answers(rows) == [("baseline", 0.1, None)] * 2
    assert baseline.batches == [2]
    assert fixture.charges.failed == []


@pytest.mark.parametrize("outcome", ["error", "invalid"])
def test_a_failed_canary_is_answered_by_the_baseline_in_the_same_request_and_charged(
    fixture: Fixture, outcome: str
) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", ScoreError(outcome, "no"))  # type: ignore[arg-type]
    rows = [row(1, to_canary=True), row(2), row(3, to_canary=True)]
    fixture.score(served_by(baseline, canary=canary), rows)
    assert answers(rows) == [("baseline", 0.1, "canary"), ("baseline", 0.1, None), ("baseline", 0.1, "canary")]
    assert fixture.charges.failed == [True]
    assert value(fixture.metrics, "serving_app_fallbacks_total") == 2
    assert value(fixture.metrics, f'serving_app_requests_total{{model_variant="canary",outcome="{outcome}"}}') == 2


def test_a_canary_that_hangs_leaves_the_baseline_half_of_the_time(fixture: Fixture) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", None)
    rows = [row(1, to_canary=True)]
    began = time.perf_counter()
    fixture.score(served_by(baseline, canary=canary), rows)
    assert DEADLINE_S / 2 <= time.perf_counter() - began < DEADLINE_S * 2
    assert answers(rows) == [("baseline", 0.1, "canary")]
    assert fixture.charges.failed == [True]


def test_a_canary_is_not_charged_for_time_that_others_took(fixture: Fixture) -> None:
    """A slow feature read left it less than a quarter of the deadline."""
    rows = [row(1, to_canary=True)]
    served = served_by(ScriptedArm("baseline", 0.1), canary=ScriptedArm("canary", None))
    fixture.score(served, rows, left_s=DEADLINE_S * 0.4)
    assert answers(rows) == [("baseline", 0.1, "canary")]
    assert fixture.charges.failed == []


@pytest.mark.parametrize(("baseline", "status"), [(failing(), 503), (None, 504)])
def test_where_the_baseline_fails_too_no_canary_is_charged(
    fixture: Fixture, baseline: ScoreError | None, status: int
) -> None:
    served = served_by(ScriptedArm("baseline", baseline), canary=ScriptedArm("canary", failing()))
    with pytest.raises(ApiError) as raised:
        fixture.score(served, [row(1, to_canary=True)])
    assert raised.value.status == status
    assert fixture.charges.failed == []
    assert value(fixture.metrics, "serving_app_fallbacks_total") == 0
