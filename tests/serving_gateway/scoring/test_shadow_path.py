"""The shadow's path without a server: which rows wait, what is dropped, how they are batched and recorded."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.contracts.prediction_log import decode_record
from serving_gateway.log.segment import Segment
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.scoring.shadow import MAX_BATCH, Shadow
from tests.serving_gateway.scoring.scripted import ScriptedArm, failing, row, served_by, value

BASELINE = ScriptedArm("baseline", 0.1)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    found = Spool(tmp_path, "g", max_bytes=10_000_000)
    yield found
    found.close()


def answered(numbers: Sequence[int], by: ScriptedArm = BASELINE) -> list[ScoringRow]:
    rows = [row(number) for number in numbers]
    for found in rows:
        found.arm = by
    return rows


def recorded(spool: Spool) -> list[PairedRecord]:
    payloads = [p for segment in spool.segments for p in Segment(segment.path, segment.size).read(1 << 20)[0]]
    records = [decode_record(payload) for payload in payloads]
    assert all(isinstance(record, PairedRecord) for record in records)
    return records  # type: ignore[return-value]


def scored(spool: Spool, metrics: Metrics, offers: Sequence[tuple[Served, list[ScoringRow]]], *, wanted: int) -> None:
    """Offer, then let the worker run until `wanted` rows are in the spool."""

    async def run() -> None:
        shadow = Shadow(spool, metrics, max_rows=1000, timeout_s=1)
        for served, rows in offers:
            shadow.offer(served, rows)
        worker = asyncio.create_task(shadow.run())
        async with asyncio.timeout(5):
            while len(recorded(spool)) < wanted:  # noqa: ASYNC110 - the spool is a file
                await asyncio.sleep(0)
        worker.cancel()

    asyncio.run(run())


def test_rows_are_scored_in_one_batch_and_recorded_with_the_arm(spool: Spool) -> None:
    arm, metrics = ScriptedArm("shadow", 0.75), Metrics()
    scored(spool, metrics, [(served_by(BASELINE, shadow=arm), answered(range(5)))], wanted=5)
    assert arm.batches == [5]
    found = [(r.prediction_id, r.paired.arm, r.paired.score, r.paired.outcome) for r in recorded(spool)]
    assert found == [(f"prediction-{n}", "shadow", 0.75, "ok") for n in range(5)]
    assert {r.paired.triton_model for r in recorded(spool)} == {arm.arm.triton_model}


def test_a_shadow_that_fails_is_recorded_without_a_score_and_raises_nothing(spool: Spool) -> None:
    metrics = Metrics()
    served = served_by(BASELINE, shadow=ScriptedArm("shadow", failing()))
    scored(spool, metrics, [(served, answered(range(3)))], wanted=3)
    assert {(r.paired.score, r.paired.outcome) for r in recorded(spool)} == {(None, "error")}
    assert value(metrics, 'serving_app_requests_total{model_variant="shadow",outcome="error"}') == 3


def test_a_row_that_the_shadows_own_model_answered_is_not_scored_again(spool: Spool) -> None:
    arm = ScriptedArm("shadow", 0.75)
    rows = [*answered([1], by=ScriptedArm("canary", 0.5)), *answered([2])]  # canary and shadow are the same model
    scored(spool, Metrics(), [(served_by(BASELINE, shadow=arm), rows)], wanted=1)
    assert [r.prediction_id for r in recorded(spool)] == ["prediction-2"]


def test_a_batch_is_of_one_arm_and_bounded(spool: Spool) -> None:
    first, second = ScriptedArm("shadow", 0.2), ScriptedArm("shadow", 0.3)
    many = MAX_BATCH + 10
    offers = [
        (served_by(BASELINE, shadow=first), answered(range(many))),
        (served_by(BASELINE, shadow=second), answered(range(many, many + 5))),
    ]
    scored(spool, Metrics(), offers, wanted=many + 5)
    assert (first.batches, second.batches) == ([MAX_BATCH, 10], [5])


def waiting(max_rows: int, served: Served, rows: list[ScoringRow], spool: Spool) -> tuple[int, Metrics]:
    metrics = Metrics()

    async def run() -> int:
        shadow = Shadow(spool, metrics, max_rows=max_rows, timeout_s=1)
        shadow.offer(served, rows)
        return len(shadow._queue)

    return asyncio.run(run()), metrics


def test_what_does_not_fit_is_dropped_and_counted(spool: Spool) -> None:
    served = served_by(BASELINE, shadow=ScriptedArm("shadow", 0.5))
    queued, metrics = waiting(3, served, answered(range(10)), spool)
    assert queued == 3
    assert value(metrics, "serving_app_shadow_dropped_total") == 7


def test_without_a_shadow_nothing_waits(spool: Spool) -> None:
    assert waiting(3, served_by(BASELINE), answered(range(10)), spool)[0] == 0


def test_a_fraction_of_the_rows_is_sampled_by_their_ids(spool: Spool) -> None:
    served = served_by(BASELINE, shadow=ScriptedArm("shadow", 0.5), fraction=0.25)
    queued, metrics = waiting(5000, served, answered(range(2000)), spool)
    assert 420 < queued < 580  # .25 of 2000, more than four standard deviations either way
    assert value(metrics, "serving_app_shadow_dropped_total") == 0
    assert waiting(5000, served, answered(range(2000)), spool)[0] == queued
