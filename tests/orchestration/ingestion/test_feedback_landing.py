"""Ground truth in the lake: whatever way reports took, a reader sees each prediction once, with its last observation."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.ingestion.predictions import FEEDBACK_SCHEMA, land, read_feedback
from serving_gateway.contracts.prediction import FeedbackRecord
from serving_gateway.contracts.prediction_log import StreamBatch, encode_record, encode_records
from serving_gateway.control import keys
from serving_gateway.identifiers import uuid7

DAY = date(2026, 3, 1)
MADE = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
NOW = MADE + timedelta(days=30)
IDS = [uuid7(int((MADE + timedelta(seconds=30 * i)).timestamp() * 1000)) for i in range(4)]  # the last two a day later


def report(number: int, outcome: bool, observed_s: int = 0, received_s: int = 0) -> FeedbackRecord:
    """Of prediction `number`; times are seconds after MADE."""
    made_us = int(MADE.timestamp() * 1e6)
    return FeedbackRecord(
        prediction_id=IDS[number],
        outcome=outcome,
        observed_at_us=made_us + observed_s * 1_000_000,
        received_at_us=made_us + received_s * 1_000_000,
    )


def ship(client: redis.Redis, start: int, reports: Sequence[FeedbackRecord]) -> None:
    records = encode_records(map(encode_record, reports))
    batch = StreamBatch(segment="g.1.1", start=start, end=start + 100, records=records)
    client.xadd(keys.PREDICTIONS, batch.to_fields())


def found(lake: Path, now: datetime = NOW, ids: Sequence[str] = IDS) -> dict[int, bool]:
    frame = read_feedback(lake, pl.Series("prediction_id", ids, dtype=pl.String), now)
    assert frame.schema == FEEDBACK_SCHEMA
    assert frame["prediction_id"].is_unique().all()
    return {IDS.index(name): outcome for name, outcome in frame.select("prediction_id", "outcome").iter_rows()}


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return redis.Redis.from_url(redis_url)


@pytest.mark.integration
def test_reports_lie_by_the_day_of_their_prediction_however_late_they_come(client: redis.Redis, tmp_path: Path) -> None:
    late = 20 * 86_400
    ship(client, 0, [report(0, True, late, late), report(3, False, late, late)])
    assert land(client, tmp_path).feedback == 2
    assert sorted(p.name for p in (tmp_path / "feedback").iterdir()) == [f"day={DAY}", f"day={DAY + timedelta(days=1)}"]
    assert found(tmp_path) == {0: True, 3: False}
    assert found(tmp_path, ids=IDS[:1]) == {0: True}
    assert found(tmp_path, now=MADE + timedelta(days=10)) == {}, "not yet observed"


@pytest.mark.integration
def test_a_report_shipped_twice_and_a_correction_out_of_order(client: redis.Redis, tmp_path: Path) -> None:
    correction, first = report(1, True, 60, 60), report(1, False, 30, 30)
    ship(client, 0, [correction])
    land(client, tmp_path)
    ship(client, 100, [first, first])
    land(client, tmp_path)
    ship(client, 0, [correction])
    land(client, tmp_path)
    assert found(tmp_path) == {1: True}
    assert found(tmp_path, now=MADE + timedelta(seconds=45)) == {1: False}, "the correction was not known then"
    kept = pl.read_parquet(tmp_path / "feedback" / "*" / "*.parquet")
    assert kept.unique().height == 2, "both stay in the log"


@pytest.mark.integration
def test_what_names_no_known_prediction_lands_and_disturbs_nobody(client: redis.Redis, tmp_path: Path) -> None:
    ship(client, 0, [report(0, True), report(1, False)])
    land(client, tmp_path)
    assert found(tmp_path, ids=[IDS[1], uuid7(int(MADE.timestamp() * 1000))]) == {1: False}
    assert found(tmp_path, ids=[]) == {}
    assert found(tmp_path, ids=["an id of another kind"]) == {}


REPORTS = st.builds(report, st.integers(0, 3), st.booleans(), st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=15, deadline=None)
@given(st.lists(REPORTS, max_size=12), st.data())
def test_neither_order_nor_repetition_nor_batches_change_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, reports: list[FeedbackRecord], data: st.DataObject
) -> None:
    """The law of idempotence: the log is a set of reports, and the reading a function of that set."""
    lake = tmp_path_factory.mktemp("lake")
    again = data.draw(st.permutations(reports + data.draw(st.lists(st.sampled_from(reports or [report(0, True)])))))
    expected: dict[int, bool] = {}
    for each in sorted(again, key=lambda r: (r.observed_at_us, r.received_at_us, r.outcome)):
        expected[IDS.index(each.prediction_id)] = each.outcome
    cut = data.draw(st.integers(0, len(again)))
    for number, part in enumerate((again[:cut], again[cut:])):
        _landed(lake, part, f"{number}.parquet")
    assert found(lake) == expected


def _landed(lake: Path, reports: Sequence[FeedbackRecord], name: str) -> None:
    for each in reports:
        folder = lake / "feedback" / f"day={DAY if IDS.index(each.prediction_id) < 2 else DAY + timedelta(days=1)}"
        folder.mkdir(parents=True, exist_ok=True)
        row = (each.prediction_id, each.outcome, each.observed_at_us, each.received_at_us)
        old = [pl.read_parquet(folder / name)] if (folder / name).exists() else []
        pl.concat([*old, pl.DataFrame([row], schema=FEEDBACK_SCHEMA, orient="row")]).write_parquet(folder / name)
