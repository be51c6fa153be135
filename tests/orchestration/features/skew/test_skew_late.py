"""Late events: the updater's files read, and whom each explains."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.features.skew.late import late_rows, missed
from orchestration.features.skew.policy import LATE_REACH

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FLIGHT = {
    "kind": "departure", "request_id": "B6-1", "carrier": "B6", "origin": "JFK", "dest": "MCO", "tailnum": "N1",
    "sched_dep": "2013-05-01T11:00:00Z", "at": "2013-05-01T12:00:00Z", "delay": 60,
}  # fmt: skip
SCHEDULE = {name: value for name, value in FLIGHT.items() if name not in ("at", "delay")}
WEATHER = {
    "kind": "weather", "origin": "JFK", "time_hour": "2013-05-01T11:00:00Z",
    "precip": 0.0, "pressure": None, "visib": 10.0, "wind_speed": 5.0,
}  # fmt: skip


def line(event: dict[str, Any], arrived: datetime = NOON + HOUR, *, applied: bool = True) -> str:
    return json.dumps({"event": event, "watermark_us": int(arrived.timestamp() * 1e6), "applied": applied})


def late(tmp_path: Path, *lines: str, day: str = "2013-05-01") -> pl.DataFrame:
    (tmp_path / f"{day}.jsonl").write_text("".join(f"{one}\n" for one in lines))
    return late_rows(tmp_path, date(2013, 5, 1))


def missed_at(events: pl.DataFrame, view: str, at: datetime, **entities: str) -> bool:
    named = {"origin": "JFK", "carrier": "B6", "dest": "MCO", "tailnum": "N1"} | entities
    row = pl.DataFrame({"event_timestamp": [at], **{k: [v] for k, v in named.items()}})
    return bool(missed(row.cast({"event_timestamp": pl.Datetime("us", "UTC")}), events, view).item())


def test_without_a_file_nothing_is_late(tmp_path: Path) -> None:
    assert late_rows(tmp_path, date(2013, 5, 1)).is_empty()
    assert not missed_at(late_rows(tmp_path, date(2013, 5, 1)), "origin_departures", NOON)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(-1, False), (0, True), (3599, True), (3600, False)],
    ids=["before it happened", "when it happened", "still on the way", "when it arrived"],
)
def test_an_event_is_missed_from_when_it_happened_until_it_arrived(tmp_path: Path, at: int, expected: bool) -> None:
    events = late(tmp_path, line(FLIGHT))
    assert missed_at(events, "carrier_origin_departures", NOON + timedelta(seconds=at)) == expected
    assert missed_at(events, "nyc_departures", NOON + timedelta(seconds=at), origin="EWR") == expected


@pytest.mark.parametrize(
    ("view", "entities"),
    [
        ("carrier_arrivals", {}),  # a departure feeds no arrivals
        ("origin_departures", {"origin": "EWR"}),
        ("carrier_origin_departures", {"carrier": "UA"}),
        ("tail_departures", {"tailnum": "N2"}),
    ],
)
def test_another_view_and_another_entity_miss_nothing(tmp_path: Path, view: str, entities: dict[str, str]) -> None:
    assert not missed_at(late(tmp_path, line(FLIGHT)), view, NOON, **entities)


def test_one_that_was_never_applied_is_missed_for_as_long_as_history_reaches(tmp_path: Path) -> None:
    events = late(tmp_path, line(FLIGHT, applied=False))
    assert missed_at(events, "tail_departures", NOON + LATE_REACH - HOUR)
    assert not missed_at(events, "tail_departures", NOON + LATE_REACH)


def test_a_report_is_known_when_its_hour_is_over_and_a_schedule_an_hour_before_it(tmp_path: Path) -> None:
    schedule = SCHEDULE | {"kind": "scheduled", "sched_dep": "2013-05-01T13:00:00Z"}
    events = late(tmp_path, line(WEATHER), line(schedule))
    for view in ("origin_weather", "origin_board"):
        assert not missed_at(events, view, NOON - timedelta(seconds=1))
        assert missed_at(events, view, NOON)


def test_an_aircraft_may_be_unknown(tmp_path: Path) -> None:
    events = late(tmp_path, line(FLIGHT | {"tailnum": None}))
    assert not missed_at(events, "tail_departures", NOON)
    assert missed_at(events, "origin_departures", NOON)


@pytest.mark.parametrize(
    "torn", ["{", "[]", json.dumps({"event": FLIGHT}), line(FLIGHT)[:-2], line(FLIGHT | {"at": "2013-05-01"})]
)
def test_a_line_that_a_crash_cut_off_takes_no_other_with_it(tmp_path: Path, torn: str) -> None:
    assert late(tmp_path, line(WEATHER), torn, "", line(FLIGHT))["kind"].to_list() == ["weather", "departure"]
