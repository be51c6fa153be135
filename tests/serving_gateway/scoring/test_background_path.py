"""The background's path without a server: which rows wait for whom, what is dropped, how they are batched and recorded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.contracts.prediction_log import decode_record
from serving_gateway.log.segment import Segment
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.background import GATHER_S, MAX_BATCH, YIELDING_ROWS, Background
from serving_gateway.scoring.call import Call
from serving_gateway.triton.errors import ScoreError
from tests.serving_gateway.scoring.scripted import ScriptedArm, call_of, failing, served_by, value

BASELINE = ScriptedArm("baseline", 0.1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    found = Spool(tmp_path, "g", max_bytes=10_000_000)
    yield found
    found.close()


def answered(served: Served, count: int, *, by: ScriptedArm = BASELINE, first: int = 0) -> Call:
    call = call_of(served, ["baseline"] * count, first=first)
    for found in call.rows:
        found.arm = by
    return call


def recorded(spool: Spool) -> list[PairedRecord]:
    payloads = [p for segment in spool.segments for p in Segment(segment.path, segment.size).read(1 << 20)[0]]
    records = [decode_record(payload) for payload in payloads]
    assert all(isinstance(record, PairedRecord) for record in records)
    return records  # type: ignore[return-value]


def scored(
    spool: Spool, metrics: Metrics, *offers: tuple[Served, int, ScriptedArm], max_rows: int = 1000
) -> list[PairedRecord]:
    """Offer calls of so many rows, answered by that arm; what is recorded once all are scored."""

    async def run() -> None:
        background = Background(spool, metrics, max_rows=max_rows, timeout_s=1)
        first = 0
        for served, count, by in offers:
            background.offer([answered(served, count, by=by, first=first)])
            first += count
        await background.drain(timeout_s=5)

    asyncio.run(run())
    return recorded(spool)


def test_rows_are_scored_in_one_batch_and_recorded_with_the_arm(spool: Spool) -> None:
    arm = ScriptedArm("shadow", 0.75)
    found = scored(spool, Metrics(), (served_by(BASELINE, shadow=arm), 5, BASELINE))
    assert arm.batches == [5]
    assert [(r.prediction_id, r.paired.arm, r.paired.score, r.paired.outcome) for r in found] == [
        (f"prediction-{n}", "shadow", 0.75, "ok") for n in range(5)
    ]
    assert {r.paired.triton_model for r in found} == {arm.arm.triton_model}


def test_who_waits_for_an_answer_of_the_model_goes_first(spool: Spool) -> None:
    arm = ScriptedArm("shadow", 0.75)

    async def run(rows: int, *, seconds: float) -> list[int]:
        background = Background(spool, Metrics(), max_rows=MAX_BATCH, timeout_s=1)
        background.offer([answered(served_by(BASELINE, shadow=arm), rows)])
        await asyncio.sleep(seconds)
        asked = list(arm.batches)
        arm.at_work.clear()
        await background.drain(timeout_s=5)
        return asked

    arm.at_work[arm.arm.triton_model] = 1
    assert asyncio.run(run(3, seconds=4 * GATHER_S)) == []
    assert arm.batches == [3]
    arm.at_work[arm.arm.triton_model] = 1
    assert asyncio.run(run(YIELDING_ROWS, seconds=4 * GATHER_S)) == [3, YIELDING_ROWS], "so many wait for nobody"


def test_a_model_that_never_rests_is_compared_all_the_same(spool: Spool) -> None:
    arm = ScriptedArm("shadow", 0.75)
    arm.at_work[arm.arm.triton_model] = 1
    assert len(scored(spool, Metrics(), (served_by(BASELINE, shadow=arm), 3, BASELINE))) == 3


def test_a_shadow_that_fails_is_recorded_without_a_score_and_raises_nothing(spool: Spool) -> None:
    metrics = Metrics()
    found = scored(spool, metrics, (served_by(BASELINE, shadow=ScriptedArm("shadow", failing())), 3, BASELINE))
    assert [(r.paired.score, r.paired.outcome) for r in found] == [(None, "error")] * 3
    assert value(metrics, 'serving_app_requests_total{model_variant="shadow",outcome="error"}') == 3


def test_a_row_that_the_shadows_own_model_answered_is_not_scored_again(spool: Spool) -> None:
    served = served_by(BASELINE, shadow=ScriptedArm("shadow", 0.75))
    by_the_same_model = ScriptedArm("canary", 0.5)
    found = scored(spool, Metrics(), (served, 1, by_the_same_model), (served, 1, BASELINE))
    assert [r.prediction_id for r in found] == ["prediction-1"]


def test_what_the_canary_answered_is_scored_by_the_baseline_whatever_the_shadows_fraction(spool: Spool) -> None:
    canary, reverse = ScriptedArm("canary", 0.5), ScriptedArm("baseline", 0.25)
    served = served_by(BASELINE, canary=canary, reverse=reverse, fraction=0.0)
    found = scored(spool, Metrics(), (served, 4, canary), (served, 2, BASELINE))
    assert [(r.prediction_id, r.paired.arm, r.paired.score) for r in found] == [
        (f"prediction-{n}", "baseline", 0.25) for n in range(4)
    ]
    assert {r.paired.triton_model for r in found} == {BASELINE.arm.triton_model}


def test_what_fell_back_from_the_canary_is_scored_too_and_compared_with_nothing(spool: Spool) -> None:
    """Else, where rows are dropped, only the canary's successes would lose theirs."""
    metrics, reverse = Metrics(), ScriptedArm("baseline", 0.25)
    served = served_by(BASELINE, canary=ScriptedArm("canary", 0.5), reverse=reverse)

    async def run() -> None:
        background = Background(spool, metrics, max_rows=10, timeout_s=1)
        call = answered(served, 3)
        call.rows[1].fallback_from = "canary"
        background.offer([call])
        await background.drain(timeout_s=5)

    asyncio.run(run())
    assert [r.prediction_id for r in recorded(spool)] == ["prediction-1"]
    assert value(metrics, "serving_app_score_difference_count") == 0


@pytest.mark.parametrize("says", [0.75, failing()])
def test_one_row_of_an_exchange_is_charged_whether_it_fails_or_not(spool: Spool, says: float | ScoreError) -> None:
    found = scored(spool, Metrics(), (served_by(BASELINE, shadow=ScriptedArm("shadow", says)), 4, BASELINE))
    assert [r.paired.charged for r in found] == [True, False, False, False]


def test_a_batch_is_of_one_arm_and_bounded(spool: Spool) -> None:
    first, second = ScriptedArm("shadow", 0.2), ScriptedArm("shadow", 0.3)
    many = MAX_BATCH + 10
    offers = (served_by(BASELINE, shadow=first), many, BASELINE), (served_by(BASELINE, shadow=second), 5, BASELINE)
    assert len(scored(spool, Metrics(), *offers)) == many + 5
    assert (first.batches, second.batches) == ([MAX_BATCH, 10], [5])


def test_what_does_not_fit_is_dropped_and_counted(spool: Spool) -> None:
    metrics, served = Metrics(), served_by(BASELINE, shadow=ScriptedArm("shadow", 0.5))
    assert len(scored(spool, metrics, (served, 10, BASELINE), max_rows=3)) == 3
    assert value(metrics, "serving_app_shadow_dropped_total") == 7


def test_without_a_shadow_nothing_waits(spool: Spool) -> None:
    assert scored(spool, Metrics(), (served_by(BASELINE), 10, BASELINE)) == []


def test_a_fraction_of_the_rows_is_sampled_by_their_ids(spool: Spool) -> None:
    metrics = Metrics()
    served = served_by(BASELINE, shadow=ScriptedArm("shadow", 0.5), fraction=0.25)
    found = scored(spool, metrics, (served, 2000, BASELINE))
    assert 420 < len(found) < 580  # .25 of 2000, more than four standard deviations either way
    again = scored(spool, metrics, (served, 2000, BASELINE))
    assert [r.prediction_id for r in again] == [r.prediction_id for r in found] * 2


def test_how_far_two_models_are_apart_is_counted_for_the_one_on_trial(spool: Spool) -> None:
    """What was answered here is 0.0, below the threshold of .5."""
    metrics, canary = Metrics(), ScriptedArm("canary", 0.0)
    shadowed = served_by(BASELINE, shadow=ScriptedArm("shadow", 0.75))
    reversed_ = served_by(BASELINE, canary=canary, reverse=ScriptedArm("baseline", 0.25))
    failed = served_by(BASELINE, shadow=ScriptedArm("shadow", failing()))
    scored(spool, metrics, (shadowed, 4, BASELINE), (reversed_, 2, canary), (failed, 3, BASELINE))
    found = {
        variant: [
            value(metrics, f'serving_app_{name}{{model_variant="{variant}"}}')
            for name in ("score_difference_count", "score_difference_sum", "decision_flips_total")
        ]
        for variant in ("shadow", "canary")
    }
    assert found == {"shadow": [4, 3.0, 4], "canary": [2, 0.5, 0]}
