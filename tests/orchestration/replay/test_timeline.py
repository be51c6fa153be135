"""The order in which a replay lets things become known."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from orchestration.features.live.events import Departure, Scheduled
from orchestration.features.views import LEAD, view_window
from orchestration.ingestion.partitions import MissingPartitionError, partition_path
from orchestration.replay.timeline import Minute, timeline
from tests.orchestration.features.lakes import raw_lake, real_flights

DAY = date(2013, 5, 1)
NEXT = DAY + timedelta(days=1)
FIRST, LAST = view_window(DAY, NEXT)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two real days, one of which is replayed, with two requests."""
    folder = tmp_path_factory.mktemp("lake")
    raw_lake(folder, DAY - timedelta(days=1), NEXT)
    path = partition_path(folder / "training", DAY)
    path.parent.mkdir(parents=True)
    asked = pl.Series([FIRST + timedelta(minutes=11)] * 2, dtype=pl.Datetime("us", "UTC"))
    pl.DataFrame({"event_timestamp": asked, "request_id": ["b", "a"]}).write_parquet(path)
    return folder


@pytest.fixture(scope="module")
def minutes(lake: Path) -> list[Minute]:
    return list(timeline(lake, DAY, NEXT))


def test_a_day_is_1440_minutes_from_the_first_request_on(minutes: list[Minute]) -> None:
    assert len(minutes) == 1440
    assert minutes[0].at == FIRST == datetime(2013, 5, 1, tzinfo=UTC) - LEAD
    assert minutes[-1].at == LAST - timedelta(minutes=1)


def test_what_happens_is_sent_when_its_minute_has_passed_and_never_before(minutes: list[Minute]) -> None:
    for minute in minutes:
        assert all(minute.at - timedelta(minutes=1) < event.event_time <= minute.at for event in minute.events)


def test_a_day_has_every_event_of_its_window_once_those_of_earlier_flights_too(minutes: list[Minute]) -> None:
    flights, last = real_flights(), LAST - timedelta(minutes=1)
    found = Counter(type(event).__name__ for minute in minutes for event in minute.events)
    for kind, at in (
        ("Scheduled", pl.col("sched_dep") - LEAD),
        ("Departure", pl.col("dep")),
        ("Arrival", pl.col("arr")),
    ):
        assert found[kind] == flights.filter(at.is_between(FIRST, last)).height
    assert found["Weather"] == 3 * 24
    departures = [event for minute in minutes for event in minute.events if isinstance(event, Departure)]
    assert len({event.identity for event in departures}) == len(departures)
    assert any(event.sched_dep.date() < DAY for event in departures)
    schedules = [event for minute in minutes for event in minute.events if isinstance(event, Scheduled)]
    assert {event.sched_dep.date() for event in schedules} == {DAY}


def test_requests_come_at_their_prediction_time_in_a_fixed_order(minutes: list[Minute]) -> None:
    asked = {m.at: [r["request_id"] for r in m.requests] for m in minutes if m.requests}
    assert asked == {FIRST + timedelta(minutes=11): ["a", "b"]}


def test_days_that_are_missing_are_named(lake: Path) -> None:
    with pytest.raises(MissingPartitionError, match="2013-05-02"):
        list(timeline(lake, DAY, NEXT + timedelta(days=1)))
