"""Daily partitions in Parquet: one file a UTC day, `day=YYYY-MM-DD.parquet`, replaced atomically."""

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

_DAY = timedelta(days=1)


class MissingPartitionError(RuntimeError):
    """A day that is needed has no data."""


def days(start: date, end: date) -> Iterator[date]:
    """The days of the half-open range [start, end)."""
    return (start + i * _DAY for i in range((end - start).days))


def midnight(day: date) -> datetime:
    """The instant a UTC day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def partition_path(folder: Path, day: date) -> Path:
    """Where the partition of `day` lies."""
    return folder / f"day={day.isoformat()}.parquet"


def stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """The days as half-open ranges, each as long as can be."""
    found: list[tuple[date, date]] = []
    for day in sorted(days):
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], day + _DAY)
        else:
            found.append((day, day + _DAY))
    return found


def stored_days(folder: Path) -> set[date]:
    """The days that have a partition."""
    return {date.fromisoformat(path.stem.removeprefix("day=")) for path in folder.glob("day=*.parquet")}


def stored_rows(folder: Path, start: date, end: date) -> dict[date, int]:
    """Rows of the partitions of [start, end) that are there, read from their footers."""
    paths = {day: partition_path(folder, day) for day in days(start, end)}
    return {day: _rows(path) for day, path in paths.items() if path.exists()}


def remove_partitions(folder: Path, days: Iterable[date]) -> None:
    """Delete the partitions of these days, where there are any."""
    for day in days:
        partition_path(folder, day).unlink(missing_ok=True)


def write_partitions(
    frame: pl.DataFrame,
    folder: Path,
    start: date,
    end: date,
    *,
    day: pl.Expr,
    columns: Sequence[str] | None = None,
    allow_empty: bool = False,
) -> int:
    """Write one file for each day of [start, end); returns the number of rows written.

    Args:
        frame: rows, in the order in which they shall be stored; rows of other days are left out.
        folder: made if missing.
        start: first day.
        end: day after the last.
        day: expression that gives the Date a row belongs to.
        columns: those that are stored; None for all.
        allow_empty: write a file without rows for a day without data instead of raising.

    Raises:
        MissingPartitionError: naming the days without data; nothing is written then.
    """
    columns = columns or frame.columns
    by_day = frame.select(*columns, __day=day).filter(pl.col("__day").is_between(start, end, closed="left"))
    parts = {key[0]: part for key, part in by_day.partition_by("__day", as_dict=True, include_key=False).items()}
    empty = [d for d in days(start, end) if d not in parts]
    if empty and not allow_empty:
        raise MissingPartitionError(f"the source has no rows for {_listed(empty)}: leave these days out of the range")
    folder.mkdir(parents=True, exist_ok=True)
    for d in days(start, end):
        _write(parts[d] if d in parts else frame.select(columns).clear(), partition_path(folder, d))
    return by_day.height


def read_partitions(folder: Path, start: date, end: date, *, optional_before: date | None = None) -> pl.DataFrame:
    """The rows of [start, end) in file order.

    Days before `optional_before` may be missing (warm-up). Raises MissingPartitionError naming the other missing days.
    """
    missing = [d for d in days(start, end) if not partition_path(folder, d).exists()]
    needed = [d for d in missing if optional_before is None or d >= optional_before]
    if needed:
        raise MissingPartitionError(f"{folder} has no partition for {_listed(needed)}: materialize these days first")
    paths = [partition_path(folder, d) for d in days(start, end) if d not in missing]
    if not paths:
        raise MissingPartitionError(f"{folder}: the range [{start}, {end}) has no day to read")
    return pl.concat([pl.read_parquet(path, hive_partitioning=False) for path in paths], rechunk=True)


def _rows(path: Path) -> int:
    return int(pl.scan_parquet(path, hive_partitioning=False).select(pl.len()).collect().item())


def _write(frame: pl.DataFrame, path: Path) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    frame.write_parquet(staged)
    staged.replace(path)


def _listed(missing: list[date]) -> str:
    shown = ", ".join(d.isoformat() for d in missing[:5])
    return shown if len(missing) <= 5 else f"{shown} and {len(missing) - 5} more days"
