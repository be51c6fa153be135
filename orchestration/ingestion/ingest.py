"""Write the raw partitions of a range of days: flights by the UTC day of `sched_dep`, weather by that of `time_hour`."""

from datetime import date
from pathlib import Path

import polars as pl

from orchestration.ingestion.partitions import write_partitions
from orchestration.ingestion.source import read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import tidy_flights, tidy_weather


def ingest_flights(folder: Path, start: date, end: date) -> int:
    """Write flights of the days [start, end) to `folder`; returns the rows written.

    `sched_load` is taken from the whole published schedule, so a partition does not depend on the range asked for.
    Raises MissingPartitionError when a day has no flights, SourceError when the source is broken.
    """
    flights = tidy_flights(read_flights_table(), read_airports_table())
    return write_partitions(flights, folder, start, end, day=pl.col("sched_dep").dt.date())


def ingest_weather(folder: Path, start: date, end: date) -> int:
    """Write weather observed on the days [start, end) to `folder`; returns the rows written.

    Raises MissingPartitionError when a day has no observation (the source ends on 2013-12-30), SourceError as above.
    """
    return write_partitions(tidy_weather(read_weather_table()), folder, start, end, day=pl.col("time_hour").dt.date())
