"""The order in which a replay lets things become known."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from orchestration.features.views import LEAD, VIEWS, view_window
from orchestration.ingestion.partitions import MissingPartitionError, partition_path
from orchestration.replay.timeline import Minute, timeline

DAY = date(2013, 5, 1)
NEXT = DAY + timedelta(days=1)
FIRST, LAST = view_window(DAY, NEXT)


def stored(folder: Path, day: date, times: list[datetime], **columns: list[object]) -> None:
    path = partition_path(folder, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = {"event_timestamp": pl.Datetime("us", "UTC")}
    pl.DataFrame({"event_timestamp": times, **columns}, schema_overrides=schema).write_parquet(path)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Nine views, of which origin_departures has three rows, and two requests."""
    for view in VIEWS:
        stored(tmp_path / "features" / view.name, DAY, [], origin=[])
    seconds = [0, 1, 60]
    rows = [FIRST + timedelta(minutes=10, seconds=s) for s in seconds]
    stored(tmp_path / "features" / "origin_departures", DAY, rows, origin=["EWR", "JFK", "LGA"])
    asked = [FIRST + timedelta(minutes=11)] * 2
    stored(tmp_path / "training", DAY, asked, request_id=["b", "a"])
    return tmp_path


def minutes(lake: Path) -> list[Minute]:
    return list(timeline(lake / "features", lake / "training", DAY, NEXT))


def test_a_day_is_1440_minutes_from_the_first_request_on(lake: Path) -> None:
    found = minutes(lake)
    assert len(found) == 1440
    assert found[0].at == FIRST == datetime(2013, 5, 1, tzinfo=UTC) - LEAD
    assert found[-1].at == LAST - timedelta(minutes=1)


def test_a_row_is_applied_when_its_minute_has_passed_and_never_before_it_was_known(lake: Path) -> None:
    applied = {m.at: m.features["origin_departures"]["origin"].to_list() for m in minutes(lake) if m.features}
    ten = FIRST + timedelta(minutes=10)
    assert applied == {ten: ["EWR"], ten + timedelta(minutes=1): ["JFK", "LGA"]}


def test_requests_come_at_their_prediction_time_in_a_fixed_order(lake: Path) -> None:
    asked = {m.at: [r["request_id"] for r in m.requests] for m in minutes(lake) if m.requests}
    assert asked == {FIRST + timedelta(minutes=11): ["a", "b"]}


def test_days_that_are_missing_are_named(lake: Path) -> None:
    with pytest.raises(MissingPartitionError, match="2013-05-02"):
        list(timeline(lake / "features", lake / "training", DAY, NEXT + timedelta(days=1)))
