"""Refused days: the rows that the checks refused lie apart, as evidence, and as the mark that nothing may use the day.

`lake`/quarantine/<source>/day=YYYY-MM-DD.parquet holds what the source delivered for the day. It goes when a later run
accepts the day. A day that was never ingested has no such file: it is missing, not refused.
"""

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


def settle(lake: Path, source: str, good: pl.DataFrame, bad: pl.DataFrame, *, day: pl.Expr, refused: set[date]) -> None:
    """Store the days of `good`, put the `refused` ones into quarantine with the rows of `bad`.

    A refused day's earlier partition is removed, so that nobody computes on. The mark is set before that and taken
    away after the new partition is in place: a run that dies between the two leaves a day refused, never stale.

    Args:
        lake: the lake's folder.
        source: name of the source, a folder under raw and quarantine.
        good: rows as they shall be stored.
        bad: rows of the refused days, their day in the column `day`.
        day: expression that gives the day of a row of `good`.
        refused: these days; some may have no rows.
    """
    raw, apart = lake / "raw" / source, quarantine_folder(lake, source)
    for start, end in stretches(refused):
        write_partitions(bad, apart, start, end, day=pl.col("day"), allow_empty=True)
    remove_partitions(raw, refused)
    accepted = set(good.select(day).to_series())
    for start, end in stretches(accepted):
        write_partitions(good, raw, start, end, day=day)
    remove_partitions(apart, accepted)
