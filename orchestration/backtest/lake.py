"""The days that the backtest reads, made from the source tables where the lake lacks them."""

from datetime import date
from pathlib import Path

import polars as pl

from orchestration.features.compute import write_features
from orchestration.features.training import write_training
from orchestration.ingestion.partitions import days, stored_days, write_partitions
from orchestration.ingestion.source import read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather


def complete(lake: Path, start: date, end: date) -> bool:
    """Whether the lake has training rows of every day of [start, end)."""
    return set(days(start, end)) <= stored_days(lake / "training")


def make_lake(lake: Path, source: Path | None, start: date, end: date) -> None:
    """Write raw days, features and training rows of [start, end), half a minute for a year.

    Without the checks of ingestion: they take ten minutes for a year, and the published tables pass them.

    Raises:
        SourceError: the source tables are not there; it names them.
    """
    flights = tidy_flights(read_flights_table(source), read_airports_table(source)).select(FLIGHT_COLUMNS)
    weather = tidy_weather(read_weather_table(source)).select(WEATHER_COLUMNS)
    for name, frame, instant in (("flights", flights, "sched_dep"), ("weather", weather, "time_hour")):
        write_partitions(frame, lake / "raw" / name, start, end, day=pl.col(instant).dt.date())
    write_features(lake, start, end)
    write_training(lake, start, end)
