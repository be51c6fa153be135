"""What the lake says, as events: of the time before a base, and of days that are replayed."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.live.events import LATEST, Arrival, Departure, Event, Scheduled, Weather
from orchestration.features.views import LEAD, WARM_UP, view_window
from orchestration.ingestion.partitions import partition_path, read_partitions, stored_days

_FURTHER = timedelta(days=2)


def events_before(lake: Path, as_of: datetime) -> Iterator[Event]:
    """The events with a time before `as_of` out of raw/flights and raw/weather, as far back as features read.

    Days that the lake does not have give none.
    """
    last = (as_of + LEAD).date()
    first = last - WARM_UP["flights"] - _FURTHER
    flights, weather = (_stored(lake / "raw" / source, first, last) for source in ("flights", "weather"))
    return (event for event in _events(flights, weather) if event.event_time < as_of)


def events_between(lake: Path, start: date, end: date) -> Iterator[Event]:
    """The events that the feature partitions of the days [start, end) tell of, the movements of earlier days among them.

    Raises MissingPartitionError naming the days of the range that the lake does not have.
    """
    first, last = view_window(start, end)
    flights, weather = (
        read_partitions(lake / "raw" / source, start - LATEST, end, optional_before=start)
        for source in ("flights", "weather")
    )
    return (event for event in _events(flights, weather) if first <= event.event_time < last)


def _events(flights: pl.DataFrame, weather: pl.DataFrame) -> Iterator[Event]:
    for row in flights.iter_rows(named=True):
        told = {name: row[name] for name in ("request_id", "carrier", "origin", "dest", "tailnum", "sched_dep")}
        yield Scheduled(**told)
        if row["dep"] is not None:
            yield Departure(**told, at=row["dep"], delay=float(row["dep_delay"]))
        if row["arr"] is not None:
            yield Arrival(**told, at=row["arr"], delay=float(row["arr_delay"]))
    columns = ("origin", "time_hour", "precip", "pressure", "visib", "wind_speed")
    for row in weather.iter_rows(named=True):
        yield Weather(**{name: row[name] for name in columns})


def _stored(folder: Path, first: date, last: date) -> pl.DataFrame:
    days = sorted(day for day in stored_days(folder) if first <= day <= last)
    frames = [pl.read_parquet(partition_path(folder, day), hive_partitioning=False) for day in days]
    return pl.concat(frames) if frames else pl.DataFrame()
