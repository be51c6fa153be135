"""Stored training rows of real days, storms and changes of the clock among them, against the features by definition."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.features.compute import write_features
from orchestration.features.training import FEATURES, read_training, write_training
from orchestration.ingestion.partitions import read_partitions
from tests.orchestration.features.lakes import raw_lake
from tests.orchestration.features.reference import reference
from tests.orchestration.ingestion.sources import published

pytestmark = pytest.mark.integration  # by its time: the reference reads every event of eight days for every row

DAY = timedelta(days=1)
ROWS = 45
WINDOWS = {
    "a blizzard": date(2013, 2, 9),
    "a storm and the night that clocks went forward": date(2013, 3, 10),
    "a calm spring day": date(2013, 4, 24),
    "thunderstorms in a holiday week": date(2013, 6, 28),
    "thunderstorms in September": date(2013, 9, 12),
    "the night that clocks went back": date(2013, 11, 3),
    "snow in December": date(2013, 12, 17),
}
ZONES = {**dict(published("airports.csv").select("faa", "tzone").iter_rows()), "SJU": "America/Puerto_Rico"}
ZONES |= dict.fromkeys(("BQN", "PSE", "STT"), "America/Puerto_Rico")
Row = dict[str, Any]


def local_minute(at: datetime, zone: str) -> int:
    local = at.astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


def request_fields(schedule: list[Row], row: Row) -> Row:
    """The seven fields of the request, from the published schedule."""
    at = row["at"]
    due = int(row["sched_arr_time"])
    load = sum(abs(other["at"] - at) <= timedelta(minutes=30) for other in schedule if other["origin"] == row["origin"])
    return {
        "s_carrier": row["carrier"],
        "s_origin": row["origin"],
        "s_dow": at.astimezone(ZoneInfo("America/New_York")).isoweekday(),
        "s_distance": int(row["distance"]),
        "s_block": (due // 100 * 60 + due % 100 - local_minute(at, ZONES[row["dest"]])) % 1440,
        "s_dep_min": local_minute(at, "America/New_York"),
        "s_sched_load": load,
    }


def schedule_of(day: date) -> dict[str, Row]:
    """Published flights around a UTC day by request id, with their instant `at`."""
    near = [(day + n * DAY).isoformat() for n in (-1, 0, 1)]
    rows = published("flights.csv").filter(pl.col("time_hour").str.slice(0, 10).is_in(near)).to_dicts()
    for row in rows:
        hour = datetime.strptime(row["time_hour"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        row["at"] = hour + timedelta(minutes=int(row["minute"]))
    return {f"{row['carrier']}-{row['flight']}-{row['at']:%Y%m%dT%H%M}": row for row in rows}


ALWAYS = ("a blizzard", "the night that clocks went back")


@pytest.mark.parametrize(
    "day",
    [pytest.param(day, id=name, marks=[] if name in ALWAYS else pytest.mark.full) for name, day in WINDOWS.items()],
)
def test_a_stored_row_is_what_the_definition_says(day: date, tmp_path: Path) -> None:
    raw_lake(tmp_path, day - 8 * DAY, day + DAY)
    write_features(tmp_path, day - DAY, day + DAY)
    write_training(tmp_path, day, day + DAY)
    rows = read_training(tmp_path / "training", day, day + DAY).sample(ROWS, seed=day.toordinal())

    events, reports = (
        read_partitions(tmp_path / "raw" / source, day - 8 * DAY, day + DAY).to_dicts()
        for source in ("flights", "weather")
    )
    published_rows = schedule_of(day)
    schedule = list(published_rows.values())
    by_id = {event["request_id"]: event for event in events}
    expected = [
        request_fields(schedule, published_rows[request_id]) | reference(by_id[request_id], events, reports)
        for request_id in rows["request_id"]
    ]
    assert list(expected[0]) == list(FEATURES)
    assert len(FEATURES) == 26
    found = rows.select(FEATURES)
    assert_frame_equal(found, pl.DataFrame(expected, schema=found.schema, strict=False), rel_tol=1e-5, abs_tol=1e-4)
    assert sum(found.null_count().row(0)) < ROWS * len(FEATURES) / 4, "most features are known"


def test_hundreds_of_rows_are_compared() -> None:
    assert ROWS * len(WINDOWS) >= 300
