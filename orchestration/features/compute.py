"""Feature views out of raw partitions, for a range of days in one pass."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.computations import COMPUTATIONS
from orchestration.features.events import arrivals, departures
from orchestration.features.held import held_features_of
from orchestration.features.views import BY_NAME, LEAD, VIEWS, WARM_UP, view_window
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import days, read_partitions, remove_partitions, stretches, write_partitions

# The feature partition that a row belongs to.
_DAY = (pl.col("event_timestamp") + LEAD).dt.date()


def compute_views(flights: pl.DataFrame, weather: pl.DataFrame, start: date, end: date) -> dict[str, pl.DataFrame]:
    """Every view's rows for the feature partitions of the days [start, end) (`view_window` says which instants).

    Args:
        flights: tidy flights of these days and of the warm-up before them, as far back as there are any.
        weather: tidy weather of the same.
        start: first day.
        end: day after the last.

    Returns:
        View name to frame in the view's columns, sorted by event_timestamp and keys.
    """
    first, last = view_window(start, end)
    sources = {"flights": flights, "weather": weather, "departures": departures(flights), "arrivals": arrivals(flights)}
    in_window = pl.col("event_timestamp").is_between(first, last, closed="left")
    return {
        name: of_view.rows(sources[of_view.source], first, last).filter(in_window).select(BY_NAME[name].columns)
        for name, of_view in COMPUTATIONS.items()
    }


def write_features(lake: Path, start: date, end: date) -> Outcome:
    """Compute the views of the days [start, end) and write `lake`/features/<view>/day=...parquet.

    Reads the raw days of the range and of the warm-up before it, as far as they are there; a partition does not depend
    on the range that computed it. A day that a refused or missing raw day holds back is left out, and what was stored
    of it is removed, for it followed from data that are no longer believed.
    """
    held = held_features_of(lake, start, end)
    for view in VIEWS:
        remove_partitions(lake / "features" / view.name, held)
    rows: dict[date, int] = {}
    parts = dict.fromkeys(BY_NAME, 0)
    for first, last in stretches(day for day in days(start, end) if day not in held):
        for name, frame in _write(lake, first, last).items():
            parts[name] += frame.height
            for day, n in frame.group_by(_DAY).len().iter_rows():
                rows[day] = rows.get(day, 0) + n
    return Outcome(rows, held, parts)


def _write(lake: Path, start: date, end: date) -> dict[str, pl.DataFrame]:
    flights, weather = (
        read_partitions(lake / "raw" / source, start - warm_up, end, optional_before=start)
        for source, warm_up in WARM_UP.items()
    )
    frames = compute_views(flights, weather, start, end)
    for name, frame in frames.items():
        write_partitions(frame, lake / "features" / name, start, end, day=_DAY, allow_empty=True)
    return frames


def read_view(features: Path, view: str, start: date, end: date) -> pl.DataFrame:
    """Stored rows of a view that requests for flights of the days [start, end) may read.

    Goes back from the first request by the view's ttl, over the days that are there. Sorted by event_timestamp.
    """
    back = timedelta(days=-(-BY_NAME[view].ttl_s // 86_400))
    return read_partitions(features / view, start - back, end, optional_before=start)
