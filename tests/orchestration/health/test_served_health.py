"""What a model's health is judged on: its own answers, each request once, as far as labels are known."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from orchestration.health.served import Served, served
from serving_gateway.identifiers import uuid7
from tests.orchestration.health.logs import DAY, MODEL, write_answers, write_days, write_outcomes, write_report_of

MONDAY = date(2013, 4, 1)
NOON = datetime(2013, 4, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def seen(lake: Path, now: datetime) -> Served:
    return served(lake, MODEL, datetime(2013, 3, 31, 23, tzinfo=UTC), now)


def test_answers_join_the_outcomes_of_their_flights(tmp_path: Path) -> None:
    write_days(tmp_path, MONDAY, 3, rows=300)
    found = seen(tmp_path, datetime(2013, 4, 4, 2, tzinfo=UTC))
    assert found.rows.columns == ["event_time", "score", "label"]
    assert (found.rows.height, found.rows["label"].null_count()) == (900, 0)
    assert found.within((MONDAY, MONDAY + DAY)).height == 300
    assert found.since(MONDAY + DAY).height == 600
    window = found.window((MONDAY, MONDAY + 2 * DAY))
    assert window is not None
    assert (window.first, window.end, window.health.rows) == (MONDAY, MONDAY + 2 * DAY, 600)
    assert found.window((MONDAY - DAY, MONDAY)) is None


def test_an_outcome_that_has_not_matured_is_not_known(tmp_path: Path) -> None:
    """The lake of a replay may know the whole year."""
    write_days(tmp_path, MONDAY, 3)
    now = datetime(2013, 4, 2, 10, tzinfo=UTC)
    found = seen(tmp_path, now)
    assert found.rows["event_time"].max() <= now  # type: ignore[operator]
    unknown = found.rows.filter(pl.col("label").is_null())
    assert unknown["event_time"].min() > now - timedelta(minutes=75)  # type: ignore[operator]
    assert 15 <= unknown.height <= 20
    assert found.watermark == now - timedelta(minutes=75)


def test_windows_are_whole_below_the_watermark_only(tmp_path: Path) -> None:
    write_days(tmp_path, MONDAY, 8)
    write_days(tmp_path, MONDAY + 8 * DAY, 1, outcomes=False)
    found = seen(tmp_path, datetime(2013, 4, 10, 12, tzinfo=UTC))
    assert found.watermark == datetime(2013, 4, 8, 23, tzinfo=UTC)
    assert found.whole(7) == [(MONDAY, MONDAY + 7 * DAY)]
    assert found.whole(1)[-1] == (MONDAY + 7 * DAY, MONDAY + 8 * DAY)
    assert len(found.whole(1)) == 8


@pytest.mark.parametrize(
    "columns", [{"triton_model": "flight_delay_v2"}, {"routing": "forced"}, {"degraded": True}], ids=str
)
def test_what_is_no_evidence_on_the_model_is_left_out(tmp_path: Path, columns: dict[str, object]) -> None:
    write_days(tmp_path, MONDAY, 1, **columns)
    found = seen(tmp_path, NOON)
    assert found.rows.is_empty()
    assert found.whole(7) == []


def test_a_request_that_was_asked_again_counts_once_by_the_answer_with_a_label(tmp_path: Path) -> None:
    at = NOON - 20 * HOUR
    ids = [uuid7(int(at.timestamp() * 1000) + i) for i in range(3)]
    frame = pl.DataFrame(
        {
            "prediction_id": ids, "request_id": ["r", "r", "q"], "event_time": [at, at, at],
            "served_at": [at, at + HOUR, at], "score": [0.1, 0.9, 0.5],
        }
    )  # fmt: skip
    write_answers(tmp_path, frame, name="1")
    assert seen(tmp_path, NOON).rows["score"].sort().to_list() == [0.5, 0.9], "without labels the latest answer"
    write_report_of(tmp_path, ids[0], True, at + 2 * HOUR, made=at.date())
    found = seen(tmp_path, NOON).rows.sort("score")
    assert found.select("score", "label").rows() == [(0.1, 1), (0.5, None)]


def test_reports_carry_the_watermark_beyond_the_ingested_days(tmp_path: Path) -> None:
    write_outcomes(tmp_path, MONDAY, [], [], [])
    times = [datetime(2013, 4, 2, hour, tzinfo=UTC) for hour in (8, 9, 10)]
    ids = [uuid7(int(t.timestamp() * 1000)) for t in times]
    frame = pl.DataFrame({"prediction_id": ids, "request_id": ids, "event_time": times, "score": [0.2, 0.3, 0.4]})
    write_answers(tmp_path, frame, name="1")
    assert seen(tmp_path, NOON).watermark == times[0]
    for name, time in zip(ids[:2], times, strict=False):
        write_report_of(tmp_path, name, False, time + HOUR, made=time.date())
    assert seen(tmp_path, NOON).watermark == times[2]
