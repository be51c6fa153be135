"""Past days as a sequence of minutes, each with what became known and what was asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.features.views import VIEWS, view_window
from orchestration.ingestion.partitions import read_partitions

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Minute:
    """`features` maps a view to its rows with an event time in (at - 1 min, at]; `requests` are training rows asked at `at`."""

    at: datetime
    features: dict[str, pl.DataFrame]
    requests: list[dict[str, Any]]


def timeline(features: Path, training: Path, start: date, end: date) -> Iterator[Minute]:
    """Minutes of the days [start, end), in order.

    Args:
        features: folder of the feature views' partitions.
        training: folder of the training rows' partitions: who asked, with which request fields, and when.
        start: first day, of the flights' scheduled departure.
        end: day after the last.

    Raises:
        MissingPartitionError: naming the days to materialize first.
    """
    first, last = view_window(start, end)
    rows = {view.name: _by_minute(read_partitions(features / view.name, start, end)) for view in VIEWS}
    asked = _by_minute(read_partitions(training, start, end).sort("event_timestamp", "request_id"))
    at = first
    while at < last:
        yield Minute(
            at=at,
            features={view: minutes[at] for view, minutes in rows.items() if at in minutes},
            requests=asked[at].to_dicts() if at in asked else [],
        )
        at += _MINUTE


def _by_minute(frame: pl.DataFrame) -> dict[datetime, pl.DataFrame]:
    # rounded up: a row is applied when its minute has fully passed, never before it was known
    minute = (pl.col("event_timestamp") - pl.duration(microseconds=1)).dt.truncate("1m") + pl.duration(minutes=1)
    parts = frame.with_columns(__minute=minute).partition_by("__minute", as_dict=True, include_key=False)
    return {key[0]: part for key, part in parts.items()}
