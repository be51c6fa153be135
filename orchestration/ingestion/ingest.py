"""From the source tables to raw partitions: examine a range of days, then store the good ones and set the bad apart.

A flight belongs to the UTC day of `sched_dep`, a weather report to that of `time_hour`.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.expectations.airports import airports_suite
from orchestration.ingestion.expectations.check import check_days, check_table
from orchestration.ingestion.expectations.days import RECENT_DAYS
from orchestration.ingestion.expectations.flights import flights_suite
from orchestration.ingestion.expectations.suite import Suite, Verdict, Violation
from orchestration.ingestion.expectations.weather import WEATHER_SUITE
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import days, stored_rows
from orchestration.ingestion.quarantine import settle
from orchestration.ingestion.source import read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather, zones


@dataclass(frozen=True)
class Examined:
    """The tidy rows of a range of days, and the verdict on each day; nothing is stored yet.

    `columns` are to be stored, `instant` among them says the day of a good row. `airports` are the violations of the airports table, with which no flight's arrival is known: every day fails then.
    """

    source: str
    frame: pl.DataFrame
    columns: tuple[str, ...]
    instant: str
    verdict: Verdict
    airports: tuple[Violation, ...] = ()

    def store(self, lake: Path) -> Outcome:
        """Write the good days to `lake`/raw/<source>, the others to `lake`/quarantine/<source>."""
        violations = self.verdict.violations
        of_refused = pl.col("day").is_in(list(violations))
        good = self.frame.filter(~of_refused).select(self.columns)
        day = pl.col(self.instant).dt.date()
        settle(lake, self.source, good, self.frame.filter(of_refused), day=day, refused=set(violations))
        return Outcome(
            rows={day: rows for day, rows in self.verdict.rows.items() if day not in violations},
            held={day: "; ".join(map(str, found)) for day, found in violations.items()},
        )


def examine_flights(lake: Path, start: date, end: date, source: Path | None = None) -> Examined:
    """Flights of the days [start, end), checked.

    `sched_load` is taken from the whole published schedule, so a partition does not depend on the range asked for.

    Args:
        lake: for the days before the range, with which the volume is compared.
        start: first day.
        end: day after the last.
        source: folder of the tables; None for the installed distribution.

    Raises:
        SourceError: when a table is missing, is no csv, lacks a column, or has rows that belong to no day.
    """
    airports = read_airports_table(source)
    broken = check_table(airports, airports_suite())
    known = airports.clear() if broken else airports
    flights = _between(tidy_flights(read_flights_table(source), known), start, end)
    verdict = _checked(flights, flights_suite(zones(known)), lake, start, end)
    if broken:
        verdict = Verdict(verdict.rows, dict.fromkeys(verdict.rows, broken), verdict.expectations)
    return Examined("flights", flights, FLIGHT_COLUMNS, "sched_dep", verdict, broken)


def examine_weather(lake: Path, start: date, end: date, source: Path | None = None) -> Examined:
    """Weather observed on the days [start, end), checked; arguments and errors as above."""
    weather = _between(tidy_weather(read_weather_table(source)), start, end)
    verdict = _checked(weather, WEATHER_SUITE, lake, start, end)
    return Examined("weather", weather, WEATHER_COLUMNS, "time_hour", verdict)


def _between(frame: pl.DataFrame, start: date, end: date) -> pl.DataFrame:
    return frame.filter(pl.col("day").is_between(start, end, closed="left"))


def _checked(frame: pl.DataFrame, suite: Suite, lake: Path, start: date, end: date) -> Verdict:
    stored = stored_rows(lake / "raw" / suite.name, start - timedelta(days=RECENT_DAYS), start)
    return check_days(frame, suite, list(days(start, end)), stored)
