"""Calls are told once, in time, and none is harmed by another one of its batch."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction import PredictionRecord
from serving_gateway.contracts.prediction_log import decode_record
from serving_gateway.http import ApiError
from serving_gateway.log.segment import Segment
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.scoring.background import Background
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.deadlines import Deadlines
from serving_gateway.scoring.predict import Finish
from tests.serving_gateway.scoring.scripted import ScriptedArm, call_of, served_by, value

BASELINE = ScriptedArm("baseline", 0.1)
SERVED = served_by(BASELINE)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    found = Spool(tmp_path, "g", max_bytes=1_000_000)
    yield found
    found.close()


def logged(spool: Spool) -> list[str]:
    payloads = [p for segment in spool.segments for p in Segment(segment.path, segment.size).read(1 << 20)[0]]
    records = [decode_record(payload) for payload in payloads]
    return [r.prediction_id for r in records if isinstance(r, PredictionRecord)]


def test_a_call_that_cannot_be_logged_is_refused_alone(spool: Spool) -> None:
    told: list[Call] = []

    async def run() -> None:
        background = Background(spool, Metrics(), max_rows=10, timeout_s=1)
        calls = [call_of(SERVED, ["baseline"], first=n, done=told.append) for n in range(3)]
        for call in calls:
            call.rows[0].arm = BASELINE
        calls[1].rows[0].arm = None  # a bug: scored by nobody
        Finish(spool, background)(calls)

    asyncio.run(run())
    assert [call.error.status if call.error else 200 for call in told] == [200, 500, 200]
    assert logged(spool) == ["prediction-0", "prediction-2"]


def test_a_call_is_told_once_and_the_first_error_counts() -> None:
    told: list[Call] = []

    async def run() -> None:
        call = call_of(SERVED, ["baseline"] * 2, done=told.append)
        call.fail(ApiError(503, "first"))
        call.fail(ApiError(504, "second"))

    asyncio.run(run())
    (call,) = told
    assert call.error is not None
    assert call.error.message == "first"
    assert all(row.asked is None for row in call.rows)


def test_deadlines_come_due_in_their_order_whatever_the_order_of_watching() -> None:
    late: list[str] = []

    async def run() -> None:
        deadlines = Deadlines(lambda call: late.append(call.request_id))
        now = asyncio.get_running_loop().time()
        for first, after_s in enumerate((0.3, 0.05, 10.0, 0.15)):
            deadlines.watch(call_of(SERVED, ["baseline"], first=first), now + after_s)
        async with asyncio.timeout(5):
            while len(late) < 3:  # noqa: ASYNC110 - what is waited for is a sweep
                await asyncio.sleep(0.01)

    asyncio.run(run())
    assert late == ["request-1", "request-3", "request-0"]


def test_a_call_that_is_settled_is_never_late() -> None:
    late: list[Call] = []

    async def run() -> None:
        deadlines = Deadlines(late.append)
        call, last = call_of(SERVED, ["baseline"]), call_of(SERVED, ["baseline"])
        now = asyncio.get_running_loop().time()
        deadlines.watch(call, now + 0.02)
        deadlines.watch(last, now + 0.06)
        call.waiting = 0
        async with asyncio.timeout(5):
            while not late:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        assert late == [last]

    asyncio.run(run())


def test_a_background_that_broke_starts_again_with_the_next_row(spool: Spool) -> None:
    shadow, metrics = ScriptedArm("shadow", 0.5), Metrics()
    served = served_by(BASELINE, shadow=shadow)

    async def run() -> None:
        background = Background(spool, metrics, max_rows=2, timeout_s=1)
        for says in (ValueError("a bug"), 0.5):
            shadow.says = says
            call = call_of(served, ["baseline"] * 2)
            for row in call.rows:
                row.arm = BASELINE
            background.offer([call])
            await background.drain(timeout_s=5)

    asyncio.run(run())
    assert value(metrics, 'serving_app_requests_total{model_variant="shadow",outcome="ok"}') == 2
    assert value(metrics, "serving_app_shadow_dropped_total") == 0
