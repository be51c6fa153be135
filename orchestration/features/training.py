"""Training rows: every flight with its label and the 26 features as they stood when its request was made.

The columns stand in `columns`. Rows are partitioned by the UTC day of `sched_dep`.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.compute import read_view
from orchestration.features.held import held_training_of
from orchestration.features.inputs import model_inputs
from orchestration.features.point_in_time import inputs_at
from orchestration.features.views import LATE_MIN, LEAD, VIEWS
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import (
    days,
    read_partitions,
    remove_partitions,
    stored_rows,
    stretches,
    write_partitions,
)

ENTITIES = ("origin", "carrier", "dest", "tailnum")
REQUEST_FIELDS = ("dow", "distance", "block", "dep_min", "sched_load")
_INPUTS = model_inputs({"carrier": (), "origin": ()})
FEATURES = tuple(i.name for i in _INPUTS)
COLUMNS = (
    "request_id", "sched_dep", "event_timestamp", "label", "label_known_at", *ENTITIES, *REQUEST_FIELDS, *FEATURES,
)  # fmt: skip


def training_rows(flights: pl.DataFrame, views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join the views' rows that were current at each flight's prediction time.

    Args:
        flights: tidy flights.
        views: frame of every view, sorted by event_timestamp, reaching back by its ttl.

    Returns:
        One row a flight, by schedule, in this module's columns. A row of a view that is missing or
        older than the view's ttl gives null features.

    Raises:
        RuntimeError: if the join lost or multiplied rows.
    """
    rows = _with_label(flights).sort("sched_dep", "request_id")
    return rows.hstack(inputs_at(rows, views, _INPUTS)).select(COLUMNS)


def write_training(lake: Path, start: date, end: date) -> Outcome:
    """Write the training rows of the days [start, end) to `lake`/training.

    A day whose features are held back or missing is left out, and what was stored of it is removed.
    """
    held = held_training_of(lake, start, end)
    remove_partitions(lake / "training", held)
    for first, last in stretches(day for day in days(start, end) if day not in held):
        flights = read_partitions(lake / "raw" / "flights", first, last)
        views = {view.name: read_view(lake / "features", view.name, first, last) for view in VIEWS}
        day = pl.col("sched_dep").dt.date()
        write_partitions(training_rows(flights, views), lake / "training", first, last, day=day)
    return Outcome(stored_rows(lake / "training", start, end), held)


def read_training(training: Path, start: date, end: date) -> pl.DataFrame:
    """The training rows of the days [start, end) by `sched_dep`. Raises MissingPartitionError naming missing days."""
    return read_partitions(training, start, end)


def _with_label(flights: pl.DataFrame) -> pl.DataFrame:
    deadline = pl.col("sched_dep") + timedelta(minutes=LATE_MIN)
    return flights.with_columns(
        event_timestamp=pl.col("sched_dep") - LEAD,
        label=(pl.col("cancelled") | (pl.col("dep_delay") > LATE_MIN)).cast(pl.Int8),
        label_known_at=pl.min_horizontal("dep", deadline),
    )
