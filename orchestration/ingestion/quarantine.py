"""Refused days: the rows that the checks refused lie apart, as evidence, and as the mark that nothing may use the day.

`lake`/quarantine/<source>/day=YYYY-MM-DD.parquet holds what the source delivered for the day. It goes when a later run
accepts the day; `no-day.parquet` beside them holds the rows that name none. A day that was never ingested has no such file: it is missing, not refused.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import polars as pl

from orchestration.ingestion.partitions import days, partition_path, remove_partitions, stretches, write_partitions


def quarantine_folder(lake: Path, source: str) -> Path:
    """Where the refused days of a source lie."""
    return lake / "quarantine" / source


def refused_days(lake: Path, source: str, start: date, end: date) -> set[date]:
    """The refused ones among the days [start, end)."""
    folder = quarantine_folder(lake, source)
    return {day for day in days(start, end) if partition_path(folder, day).exists()}


def settle(
    lake: Path, source: str, rows: pl.DataFrame, columns: Sequence[str], *, accepted: set[date], refused: set[date]
) -> None:
    """Store the rows of the `accepted` days, put those of the `refused` ones into quarantine; other days stay as they are.

    A row goes where the verdict on it went, by its column `day`, never by an instant that it carries. A refused day's
    earlier partition is removed, so that nobody computes on. The mark is set before that and taken away after the new
    partition is in place: a run that dies between the two leaves a day refused, never stale.

    Args:
        lake: the lake's folder.
        source: name of the source, a folder under raw and quarantine.
        rows: all that was examined.
        columns: what is stored of a good row; a refused one is kept whole.
        accepted: days that have rows.
        refused: days; some may have no rows.
    """
    raw, apart, day = lake / "raw" / source, quarantine_folder(lake, source), pl.col("day")
    for start, end in stretches(refused):
        write_partitions(rows, apart, start, end, day=day, allow_empty=True)
    remove_partitions(raw, refused)
    for start, end in stretches(accepted):
        write_partitions(rows, raw, start, end, day=day, columns=columns)
    remove_partitions(apart, accepted)


def set_apart_undated(lake: Path, source: str, rows: pl.DataFrame) -> None:
    """Keep the source's rows that belong to no day as evidence; they hold no day back."""
    path = undated_path(lake, source)
    if rows.is_empty():
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_parquet(path)


def undated_path(lake: Path, source: str) -> Path:
    """Where a source's rows of no day lie."""
    return quarantine_folder(lake, source) / "no-day.parquet"
