"""What the lake says of the time before a base, as events."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.live.events import Arrival, Departure, Event, Scheduled, Weather
from orchestration.features.views import LEAD, WARM_UP
from orchestration.ingestion.partitions import partition_path, stored_days

_FURTHER = timedelta(days=2)


def events_before(lake: Path, as_of: datetime) -> Iterator[Event]:
    """The events with a time before `as_of` out of raw/flights and raw/weather, as far back as features read.

    Days that the lake does not have give none.
    """
    for row in _raw(lake / "raw" / "flights", as_of).iter_rows(named=True):
        told = {name: row[name] for name in ("request_id", "carrier", "origin", "dest", "tailnum", "sched_dep")}
        found: list[Event] = [Scheduled(**told)]
        if row["dep"] is not None:
            found.append(Departure(**told, at=row["dep"], delay=float(row["dep_delay"])))
        if row["arr"] is not None:
            found.append(Arrival(**told, at=row["arr"], delay=float(row["arr_delay"])))
        yield from (event for event in found if event.event_time < as_of)
    columns = ("origin", "time_hour", "precip", "pressure", "visib", "wind_speed")
    for row in _raw(lake / "raw" / "weather", as_of).iter_rows(named=True):
        report = Weather(**{name: row[name] for name in columns})
        if report.event_time < as_of:
            yield report


def _raw(folder: Path, as_of: datetime) -> pl.DataFrame:
    last = (as_of + LEAD).date()
    first = last - WARM_UP["flights"] - _FURTHER
    days = sorted(day for day in stored_days(folder) if first <= day <= last)
    frames = [pl.read_parquet(partition_path(folder, day), hive_partitioning=False) for day in days]
    return pl.concat(frames) if frames else pl.DataFrame()
