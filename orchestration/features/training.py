"""Training rows: every flight with its label and the 26 features as they stood when its request was made.

The columns stand in `columns`. Rows are partitioned by the UTC day of `sched_dep`.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.compute import read_view
from orchestration.features.held import held_training_of
from orchestration.features.inputs import model_inputs
from orchestration.features.views import LATE_MIN, LEAD, VIEWS, View
from orchestration.ingestion.outcome import Outcome
from orchestration.ingestion.partitions import (
    days,
    read_partitions,
    remove_partitions,
    stored_rows,
    stretches,
    write_partitions,
)
from serving_gateway.contracts.model import MinutesSince, RequestField

ENTITIES = ("origin", "carrier", "dest", "tailnum")
REQUEST_FIELDS = ("dow", "distance", "block", "dep_min", "sched_load")
FEATURES = tuple(i.name for i in model_inputs({"carrier": (), "origin": ()}))
COLUMNS = (
    "request_id", "sched_dep", "event_timestamp", "label", "label_known_at", *ENTITIES, *REQUEST_FIELDS, *FEATURES,
)  # fmt: skip


def training_rows(flights: pl.DataFrame, views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Join the views' rows that were current at each flight's prediction time.

    Args:
        flights: tidy flights.
        views: frame of every view, sorted by event_timestamp, reaching back by its ttl.

    Returns:
        One row a flight, in the order of `flights`, in this module's columns. A row of a view that is missing or
        older than the view's ttl gives null features.

    Raises:
        RuntimeError: if the join lost or multiplied rows.
    """
    rows = _with_label(flights).sort("event_timestamp", maintain_order=True)
    return join_views(rows, views, VIEWS).with_columns(_derived()).sort("sched_dep", "request_id").select(COLUMNS)


def join_views(rows: pl.DataFrame, views: Mapping[str, pl.DataFrame], of: Sequence[View]) -> pl.DataFrame:
    """`rows` (event_timestamp and keys, sorted by event_timestamp) with the features of the views as they stood then.

    Raises RuntimeError if the join lost or multiplied rows.
    """
    joined = rows
    for view in of:
        joined = _join(joined, views[view.name], view)
    if joined.height != rows.height:
        raise RuntimeError(f"the point-in-time join made {joined.height} rows of {rows.height}")
    return joined


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


def _join(rows: pl.DataFrame, view_rows: pl.DataFrame, view: View) -> pl.DataFrame:
    return rows.join_asof(
        view_rows,
        on="event_timestamp",
        by=list(view.join_keys) or None,
        strategy="backward",
        tolerance=timedelta(seconds=view.ttl_s),
        check_sortedness=False,  # cannot be checked within groups; both sides are sorted by construction
    )


def _derived() -> list[pl.Expr]:
    """The features that are not stored: fields of the request under their input names, minutes since an instant."""
    inputs = model_inputs({"carrier": (), "origin": ()})
    copied = [pl.col(i.source.field).alias(i.name) for i in inputs if isinstance(i.source, RequestField)]
    now_s = pl.col("event_timestamp").dt.epoch("s")
    since = [
        ((now_s - pl.col(i.source.feature)) / 60.0).cast(pl.Float32).alias(i.name)
        for i in inputs
        if isinstance(i.source, MinutesSince)
    ]
    return copied + since
