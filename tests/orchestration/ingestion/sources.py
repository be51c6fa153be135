"""Folders of source tables: real days of the distribution as text, with whatever a test breaks in them."""

from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl

from orchestration.ingestion.source import _in_distribution, _unzipped

Change = Callable[[pl.DataFrame], pl.DataFrame]
LOCAL_DATE = pl.date(*(pl.col(name).cast(pl.Int32) for name in ("year", "month", "day")))


@cache
def published(name: str) -> pl.DataFrame:
    """A table of the distribution, every column as text."""
    path = _in_distribution(name)
    data = _unzipped(path, name) if path.suffix == ".zip" else path.read_bytes()
    return pl.read_csv(data, infer_schema=False)


def source_folder(folder: Path, start: date, end: date, **changes: Change) -> Path:
    """Write flights.csv and weather.csv of the local days [start, end), and airports.csv, each changed as given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("flights", "weather", "airports"):
        table = published(f"{name}.csv")
        if name != "airports":
            table = table.filter(LOCAL_DATE.is_between(start, end, closed="left"))
        changes.get(name, _unchanged)(table).write_csv(folder / f"{name}.csv")
    return folder


def on(day: date, rows: int, **values: object) -> Change:
    """Set columns to texts in the first `rows` rows of a UTC day."""

    def change(table: pl.DataFrame) -> pl.DataFrame:
        of_day = pl.col("time_hour").str.starts_with(day.isoformat())
        chosen = of_day & (of_day.cum_sum() <= rows)
        return table.with_columns(
            pl.when(chosen).then(pl.lit(value, pl.String)).otherwise(name).alias(name) for name, value in values.items()
        )

    return change


def repeated(day: date, rows: int) -> Change:
    """Repeat the first `rows` rows of a UTC day."""
    return lambda table: pl.concat(
        [table, table.filter(pl.col("time_hour").str.starts_with(day.isoformat())).head(rows)]
    )


def without(day: date, rows: int) -> Change:
    """Leave the first `rows` rows of a UTC day out."""

    def change(table: pl.DataFrame) -> pl.DataFrame:
        of_day = pl.col("time_hour").str.starts_with(day.isoformat())
        return table.filter(~(of_day & (of_day.cum_sum() <= rows)))

    return change


def only(day: date, origins: tuple[str, ...]) -> Change:
    """Leave out the rows of a UTC day that are of other airports."""
    of_day = pl.col("time_hour").str.starts_with(day.isoformat())
    return lambda table: table.filter(~of_day | pl.col("origin").is_in(origins))


def _unchanged(table: pl.DataFrame) -> pl.DataFrame:
    return table
