"""The canary's path without a server: who scores which row, the fallback in the same request, what is charged."""

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction import ArmName
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.lane import Lane
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.scoring.score import Scorer
from serving_gateway.triton.errors import ScoreError
from tests.serving_gateway.scoring.scripted import Charges, ScriptedArm, call_of, failing, served_by, value

DEADLINE_S = 0.2
CANARY: ArmName = "canary"
BASELINE: ArmName = "baseline"


class Fixture:
    """A scorer, its metrics and its charges."""

    def __init__(self, folder: Path) -> None:
        self.metrics, self.charges = Metrics(), Charges(folder)

    def score(self, served: Served, *calls: Sequence[ArmName], left_s: float = DEADLINE_S) -> list[Call]:
        """Score calls of these places that arrive together; returns them settled."""

        async def run() -> list[Call]:
            settled: asyncio.Queue[Call] = asyncio.Queue()

            def finish(finished: Sequence[Call]) -> None:
                for call in finished:
                    settled.put_nowait(call)

            scorer = Scorer(self.metrics, self.charges, finish, deadline_s=DEADLINE_S, max_rows=100, group_commit=True)
            made = [
                call_of(served, places, left_s=left_s, first=100 * n, done=settled.put_nowait)
                for n, places in enumerate(calls)
            ]
            for call in made:
                scorer.begin(call)
            for _ in made:
                await asyncio.wait_for(settled.get(), 5)
            return made

        return asyncio.run(run())


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


def answers(call: Call) -> list[tuple[str | None, float, str | None]]:
    return [(r.arm.name if r.arm else None, r.score, r.fallback_from) for r in call.rows]


def charged(calls: Sequence[Call]) -> list[bool]:
    """As the log will say it."""
    return [row.record(0).charged for call in calls for row in call.rows]


def test_each_arm_scores_its_rows_as_one_batch_and_order_is_kept(fixture: Fixture) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", 0.9)
    places = [CANARY if n % 3 == 0 else BASELINE for n in range(6)]
    (call,) = fixture.score(served_by(baseline, canary=canary), places)
    assert answers(call) == [(place, 0.9 if place == CANARY else 0.1, None) for place in places]
    assert (baseline.batches, canary.batches) == ([4], [2])
    assert fixture.charges.failed == [False]


def test_rows_of_calls_that_come_together_leave_as_one_batch(fixture: Fixture) -> None:
    baseline = ScriptedArm("baseline", 0.1)
    fixture.score(served_by(baseline), [BASELINE], [BASELINE] * 2, [BASELINE])
    assert baseline.batches == [4]


def test_the_controls_rows_are_a_batch_of_their_own(fixture: Fixture) -> None:
    baseline, control = ScriptedArm("baseline", 0.1), ScriptedArm("control", 0.1)
    served = served_by(baseline, canary=ScriptedArm("canary", 0.9), control=control)
    (call,) = fixture.score(served, ["baseline", "control", "canary"])
    assert [name for name, _, _ in answers(call)] == ["baseline", "control", "canary"]
    assert (baseline.batches, control.batches) == ([1], [1])


def test_rows_of_an_arm_that_is_not_used_here_are_the_baselines(fixture: Fixture) -> None:
    baseline = ScriptedArm("baseline", 0.1)
    (call,) = fixture.score(served_by(baseline), [CANARY, BASELINE, "control"])
    assert answers(call) == [("baseline", 0.1, None)] * 3
    assert baseline.batches == [3]
    assert fixture.charges.failed == []


@pytest.mark.parametrize("outcome", ["error", "invalid"])
def test_a_failed_canary_is_answered_by_the_baseline_in_the_same_request_and_charged(
    fixture: Fixture, outcome: str
) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", ScoreError(outcome, "no"))  # type: ignore[arg-type]
    (call,) = fixture.score(served_by(baseline, canary=canary), [CANARY, BASELINE, CANARY])
    assert answers(call) == [("baseline", 0.1, "canary"), ("baseline", 0.1, None), ("baseline", 0.1, "canary")]
    assert fixture.charges.failed == [True]
    assert value(fixture.metrics, "serving_app_fallbacks_total") == 2
    assert value(fixture.metrics, f'serving_app_requests_total{{model_variant="canary",outcome="{outcome}"}}') == 2


def test_what_fails_in_one_exchange_is_one_failure(fixture: Fixture) -> None:
    """A connection that breaks under thirty requests says no more of the canary than one that breaks under one."""
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", failing())
    calls = fixture.score(served_by(baseline, canary=canary), *[[CANARY]] * 30)
    assert all(answers(call) == [("baseline", 0.1, "canary")] for call in calls)
    assert fixture.charges.failed == [True]
    assert charged(calls) == [True] + [False] * 29
    assert {r.fallback_outcome for call in calls for r in call.rows} == {"error"}
    assert value(fixture.metrics, "serving_app_fallbacks_total") == 30


def test_what_is_scored_in_one_exchange_is_one_success(fixture: Fixture) -> None:
    """Else an exchange of thirty would count thirty times where it goes well and once where it fails."""
    served = served_by(ScriptedArm("baseline", 0.1), canary=ScriptedArm("canary", 0.9))
    calls = fixture.score(served, *[[CANARY]] * 30)
    assert charged(calls) == [True] + [False] * 29
    assert charged(fixture.score(served, [BASELINE] * 3)) == [True] * 3, "only arms that are compared are counted so"


def test_the_controls_exchanges_count_as_the_canarys(fixture: Fixture) -> None:
    served = served_by(ScriptedArm("baseline", 0.1), control=ScriptedArm("control", 0.1))
    assert charged(fixture.score(served, ["control"] * 2, ["control"])) == [True, False, False]


def test_all_who_met_one_stall_are_one_failure(fixture: Fixture) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", None)
    calls = fixture.score(served_by(baseline, canary=canary), *[[CANARY]] * 30)
    assert all(answers(call) == [("baseline", 0.1, "canary")] for call in calls)
    assert fixture.charges.failed == [True]
    assert charged(calls) == [True] + [False] * 29
    assert {r.fallback_outcome for call in calls for r in call.rows} == {"timeout"}


class Poisoned(ScriptedArm):
    """Refuses every batch that holds the row numbered 100, as a real server refuses a whole batch."""

    def ask(
        self,
        rows: Sequence[bytes],
        deadline: float,
        done: Callable[[list[float] | ScoreError], None],
        traceparent: str = "",
    ) -> None:
        poisoned = any(struct.unpack_from("<f", row)[0] == 100.0 for row in rows)
        refusal = ScoreError("invalid", "poisoned", answered=True)
        super().ask(rows, deadline, lambda result: done(refusal if poisoned else result))


def test_a_call_that_spoils_a_batch_spoils_it_for_itself_alone(fixture: Fixture) -> None:
    arm = Poisoned("baseline", 0.1)
    calls = fixture.score(served_by(arm), [BASELINE], [BASELINE], [BASELINE])
    assert [call.error.status if call.error else 200 for call in calls] == [200, 503, 200]
    assert arm.batches == [3, 1, 1, 1]


def test_a_call_at_both_ends_of_a_batch_is_not_spoilt_by_the_one_between() -> None:
    """Its canary's row joins the baseline's lane late, behind another call's."""
    arm, failed = Poisoned("baseline", 0.1), list[ScoringRow]()

    async def run() -> None:
        lane = Lane(arm, lambda _arm, _pairs: None, lambda _arm, rows, _error: failed.extend(rows), group_commit=True)
        one, other = (call_of(served_by(arm), [BASELINE] * n, first=first) for n, first in ((2, 0), (1, 100)))
        lane.ask([one.rows[0], other.rows[0], one.rows[1]])
        while not lane.idle:  # noqa: ASYNC110 - scripted arms answer at once
            await asyncio.sleep(0)
        assert failed == other.rows
        assert arm.batches == [3, 2, 1]

    asyncio.run(run())


def test_a_lane_goes_on_after_a_bug() -> None:
    arm, scored = ScriptedArm("baseline", ValueError("a bug")), list[int]()

    async def run() -> None:
        lane = Lane(arm, lambda _arm, pairs: scored.append(len(pairs)), lambda *_: None, group_commit=True)
        for says in (ValueError("a bug"), 0.1):
            arm.says = says
            lane.ask(call_of(served_by(arm), [BASELINE]).rows)
            while not lane.idle:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)

    asyncio.run(run())
    assert scored == [1]


def test_a_canary_that_hangs_leaves_the_baseline_half_of_the_time(fixture: Fixture) -> None:
    baseline, canary = ScriptedArm("baseline", 0.1), ScriptedArm("canary", None)
    began = time.perf_counter()
    (call,) = fixture.score(served_by(baseline, canary=canary), [CANARY])
    assert DEADLINE_S / 2 <= time.perf_counter() - began < DEADLINE_S * 2
    assert answers(call) == [("baseline", 0.1, "canary")]
    assert fixture.charges.failed == [True]


def test_a_canary_is_not_charged_for_time_that_others_took(fixture: Fixture) -> None:
    """A slow feature read left it less than a quarter of the deadline."""
    served = served_by(ScriptedArm("baseline", 0.1), canary=ScriptedArm("canary", None))
    (call,) = fixture.score(served, [CANARY], left_s=DEADLINE_S * 0.4)
    assert answers(call) == [("baseline", 0.1, "canary")]
    assert fixture.charges.failed == []
    assert charged([call]) == [False]


@pytest.mark.parametrize(("baseline", "status"), [(failing(), 503), (None, 504)])
def test_where_the_baseline_fails_too_no_canary_is_charged(
    fixture: Fixture, baseline: ScoreError | None, status: int
) -> None:
    served = served_by(ScriptedArm("baseline", baseline), canary=ScriptedArm("canary", failing()))
    (call,) = fixture.score(served, [CANARY])
    assert call.error is not None
    assert call.error.status == status
    assert fixture.charges.failed == []
    assert value(fixture.metrics, "serving_app_fallbacks_total") == 0
