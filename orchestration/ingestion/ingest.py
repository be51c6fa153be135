"""From the source tables to raw partitions: examine a range of days, then store the good ones and set the bad apart.

A flight belongs to the UTC day of `sched_dep`, a weather report to that of `time_hour`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.expectations.airports import airports_suite
from orchestration.ingestion.expectations.check import check_columns, check_days, check_table
from orchestration.ingestion.expectations.days import RECENT_DAYS
from orchestration.ingestion.expectations.flights import flights_suite
from orchestration.ingestion.expectations.suite import Suite, Verdict, Violation
from orchestration.ingestion.expectations.weather import WEATHER_SUITE
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import days, stored_rows
from orchestration.ingestion.quarantine import set_apart_undated, settle
from orchestration.ingestion.source import (
    PUBLISHED,
    read_airports_table,
    read_flights_table,
    read_header,
    read_weather_table,
)
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather, undated, zones


@dataclass(frozen=True)
class Examined:
    """The tidy rows of a range of days, and the verdict on each day; nothing is stored yet.

    `columns` are to be stored. `undated` are the source's rows that belong to no day. `tables` holds what was found of
    whole tables, by check: `flights_source_valid` and `weather_source_valid` stop no day; with a broken `airports_valid`
    no flight's arrival is known, and every day fails.
    """

    source: str
    frame: pl.DataFrame
    columns: tuple[str, ...]
    verdict: Verdict
    undated: pl.DataFrame
    tables: Mapping[str, tuple[Violation, ...]]

    def store(self, lake: Path) -> Outcome:
        """Write the good days to `lake`/raw/<source>, the others to `lake`/quarantine/<source>."""
        violations = self.verdict.violations
        rows = {day: rows for day, rows in self.verdict.rows.items() if day not in violations}
        settle(lake, self.source, self.frame, self.columns, accepted=set(rows), refused=set(violations))
        set_apart_undated(lake, self.source, self.undated)
        return Outcome(rows, {day: "; ".join(map(str, found)) for day, found in violations.items()})


def examine_flights(lake: Path, start: date, end: date, source: Path | None = None) -> Examined:
    """Flights of the days [start, end), checked.

    `sched_load` is taken from the whole published schedule, so a partition does not depend on the range asked for.

    Args:
        lake: for the days before the range, with which the volume is compared.
        start: first day.
        end: day after the last.
        source: folder of the tables; None for the installed distribution.

    Raises:
        SourceError: when a table is missing, is no csv, or lacks a column that is needed.
    """
    airports, table = read_airports_table(source), read_flights_table(source)
    broken = check_table(airports, airports_suite())
    known = airports.clear() if broken else airports
    flights = _between(tidy_flights(table, known), start, end)
    verdict = _checked(flights, flights_suite(zones(known)), lake, start, end)
    if broken:
        verdict = Verdict(verdict.rows, dict.fromkeys(verdict.rows, broken), verdict.expectations)
    lost = undated(table)
    of_source = (*_columns("flights.csv", source), *_columns("airports.csv", source), *_no_day(lost))
    tables = {"airports_valid": broken, "flights_source_valid": of_source}
    return Examined("flights", flights, FLIGHT_COLUMNS, verdict, lost, tables)


def examine_weather(lake: Path, start: date, end: date, source: Path | None = None) -> Examined:
    """Weather observed on the days [start, end), checked; arguments and errors as above."""
    table = read_weather_table(source)
    weather = _between(tidy_weather(table), start, end)
    verdict = _checked(weather, WEATHER_SUITE, lake, start, end)
    lost = undated(table)
    tables = {"weather_source_valid": (*_columns("weather.csv", source), *_no_day(lost))}
    return Examined("weather", weather, WEATHER_COLUMNS, verdict, lost, tables)


def _columns(table: str, source: Path | None) -> tuple[Violation, ...]:
    return check_columns(table, read_header(table, source), PUBLISHED[table])


def _no_day(lost: pl.DataFrame) -> tuple[Violation, ...]:
    if lost.is_empty():
        return ()
    examples = (str(row) for row in lost.select("year", "month", "day", "hour", "time_hour").head(5).iter_rows())
    return (Violation("time_hour", "values to name a day", lost.height, tuple(examples)),)


def _between(frame: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    return frame.filter(pl.col("day").is_between(start, end, closed="left"))


def _checked(frame: pl.DataFrame, suite: Suite, lake: Path, start: date, end: date) -> Verdict:
    stored = stored_rows(lake / "raw" / suite.name, start - timedelta(days=RECENT_DAYS), start)
    return check_days(frame, suite, list(days(start, end)), stored)
