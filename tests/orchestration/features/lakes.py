"""A lake of real raw partitions, written without the checks: they would import Great Expectations for seconds."""

from datetime import date
from functools import cache
from pathlib import Path

import polars as pl

from orchestration.features.chain import FOLDERS
from orchestration.ingestion.partitions import partition_path, write_partitions
from orchestration.ingestion.source import read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather


@cache
def flights_table() -> pl.DataFrame:
    return read_flights_table()


@cache
def tidied_flights() -> pl.DataFrame:
    """With what the checks look at."""
    return tidy_flights(flights_table(), read_airports_table())


@cache
def real_flights() -> pl.DataFrame:
    return tidied_flights().select(FLIGHT_COLUMNS)


@cache
def real_weather() -> pl.DataFrame:
    return tidy_weather(read_weather_table()).select(WEATHER_COLUMNS)


def raw_lake(lake: Path, start: date, end: date) -> None:
    """Write the raw partitions of the days [start, end)."""
    for name, frame, instant in (("flights", real_flights(), "sched_dep"), ("weather", real_weather(), "time_hour")):
        write_partitions(frame, lake / "raw" / name, start, end, day=pl.col(instant).dt.date())


def there(lake: Path, asset: str, day: date) -> None:
    """Let the lake have a day of a daily asset; nobody reads it."""
    for folder in FOLDERS[asset]:
        path = partition_path(lake / folder, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
