"""The inputs of logged rows computed anew from the offline store, as training computes them, at each row's event time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.compute import read_view
from orchestration.features.inputs import vectors
from orchestration.features.skew.compare import Values
from orchestration.features.training import join_views, read_training
from orchestration.features.views import BY_NAME
from orchestration.ingestion.partitions import MissingPartitionError
from serving_gateway.contracts.model import Feature, Input, MinutesSince, RequestField

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
# An age is a float64 of seconds: the instant that follows from it may lie a microsecond before the stored one.
_ROUNDING = timedelta(microseconds=1)


@dataclass(frozen=True)
class Offline:
    """The stored rows that requests of a day may read: the views by name, each with the column `at_column`; the flights.

    `flights` are the day's training rows, None where they are not stored.
    """

    views: Mapping[str, pl.DataFrame]
    flights: pl.DataFrame | None


def read_offline(lake: Path, day: date) -> Offline:
    """What the lake has of `day`. Raises MissingPartitionError where features of the day are missing."""
    views = {name: _stamped(name, read_view(lake / "features", name, day, day + _DAY)) for name in BY_NAME}
    try:
        flights = read_training(lake / "training", day, day + _DAY)
    except MissingPartitionError:
        flights = None
    return Offline(views, flights)


def at_column(view: str) -> str:
    """The column with the event time of the view's row that was joined; null where none was."""
    return f"{view}:at"


def stored_inputs(inputs: Sequence[Input], rows: pl.DataFrame) -> list[Input]:
    """The inputs made of stored features that the offline store has, of entities that the rows name."""
    return [i for i in inputs if not isinstance(i.source, RequestField) and _is_stored(i.source, rows.columns)]


def request_inputs(inputs: Sequence[Input], flights: pl.DataFrame | None) -> list[Input]:
    """The inputs that the caller sent and that the flights' training rows hold too."""
    known = set() if flights is None else {*flights.columns}
    return [i for i in inputs if isinstance(i.source, RequestField) and i.source.field in known]


def request_values(rows: pl.DataFrame, flights: pl.DataFrame, inputs: Sequence[Input]) -> tuple[Values, pl.Series]:
    """`request_inputs` of each row as the flight of its request id has them; and whether there is such a flight."""
    fields = {i.source.field for i in inputs if isinstance(i.source, RequestField)}
    of_flights = flights.select("request_id", pl.lit(value=True).alias("known"), *sorted(fields - {"request_id"}))
    found = rows.select("request_id").join(
        of_flights.unique("request_id"), on="request_id", how="left", maintain_order="left"
    )
    return vectors(_columns(found, inputs), inputs), found["known"].fill_null(value=False)


def join(rows: pl.DataFrame, views: Mapping[str, pl.DataFrame], inputs: Sequence[Input]) -> pl.DataFrame:
    """`rows` (event_timestamp and entities, in event order) with the rows of the inputs' views as they stood then."""
    of = [BY_NAME[name] for name in views_of(inputs)]
    keys = dict.fromkeys(key for view in of for key in view.join_keys)
    return join_views(rows.select("event_timestamp", *keys), views, of)


def values(joined: pl.DataFrame, inputs: Sequence[Input]) -> Values:
    """The `stored_inputs` of each joined row at its `event_timestamp`: float32 [rows, inputs], NaN where missing."""
    return vectors(_columns(joined, inputs), inputs)


def views_of(inputs: Sequence[Input]) -> list[str]:
    """Names of the views that the inputs are made of, each once."""
    return list(dict.fromkeys(i.source.view for i in inputs if not isinstance(i.source, RequestField)))


def neighbours(rows: pl.DataFrame, offline: Offline, inputs: Sequence[Input]) -> dict[str, Values]:
    """The inputs of `rows` where the computation is off by one, by how: a row of the view or a minute before or after."""
    found = {}
    for name, step in (("row before", 1), ("row after", -1)):
        shifted = {view: _shifted(view, frame, step) for view, frame in offline.views.items()}
        found[name] = values(join(rows, shifted, inputs), inputs)
    for name, by in (("minute before", -_MINUTE), ("minute after", _MINUTE)):
        moved = rows.with_columns(pl.col("event_timestamp") + by)
        found[name] = values(join(moved, offline.views, inputs), inputs)
    return found


def as_of(rows: pl.DataFrame, served_at: pl.DataFrame, offline: Offline, inputs: Sequence[Input]) -> Values:
    """The inputs of `rows` had each view stood still at the instant of the row that was served.

    `served_at` has a column for each view: the event time of its row in the online store; null where none was found,
    which makes NaN.
    """
    joined = rows.with_row_index("row")
    for view in views_of(inputs):
        frame = offline.views[view]
        found = (
            joined.select("row", *BY_NAME[view].join_keys, event_timestamp=served_at[view] + _ROUNDING)
            .drop_nulls("event_timestamp")
            .sort("event_timestamp", maintain_order=True)
        )
        features = join_views(found, {view: frame}, [BY_NAME[view]]).select("row", *BY_NAME[view].feature_names)
        joined = joined.join(features, on="row", how="left", maintain_order="left")
    return values(joined, inputs)


def _is_stored(source: Feature | MinutesSince, columns: Sequence[str]) -> bool:
    view = BY_NAME.get(source.view)
    return view is not None and source.feature in view.feature_names and {*view.join_keys} <= {*columns}


def _stamped(view: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col("event_timestamp").alias(at_column(view)))


def _shifted(view: str, frame: pl.DataFrame, step: int) -> pl.DataFrame:
    """Every row holds the features of the row `step` before it, of the same entity."""
    keys = BY_NAME[view].join_keys
    moved = pl.col(BY_NAME[view].feature_names).shift(step)
    return frame.with_columns(moved.over(keys) if keys else moved)


def _columns(joined: pl.DataFrame, inputs: Sequence[Input]) -> pl.DataFrame:
    return joined.select(_expression(i).alias(i.name) for i in inputs)


def _expression(i: Input) -> pl.Expr:
    if isinstance(i.source, RequestField):
        return pl.col(i.source.field)
    if isinstance(i.source, MinutesSince):
        now_s = pl.col("event_timestamp").dt.epoch("us") / 1e6
        return (now_s - pl.col(i.source.feature)) / 60.0
    return pl.col(i.source.feature)
