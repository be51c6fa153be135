"""The inputs of logged rows computed anew from the offline store, as training computes them, at each row's event time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import msgspec
import polars as pl

from orchestration.features.compute import read_view
from orchestration.features.inputs import vectors
from orchestration.features.point_in_time import inputs_at, inputs_of, positions
from orchestration.features.skew.compare import Values
from orchestration.features.training import read_training
from orchestration.features.views import BY_NAME
from orchestration.ingestion.partitions import MissingPartitionError
from serving_gateway.contracts.model import (
    CountWithin,
    Input,
    RequestField,
    ShareWithin,
    Source,
    stored_features,
)

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
# An age is a float64 of seconds: the instant that follows from it may lie a microsecond before the stored one.
_ROUNDING = timedelta(microseconds=1)
# Windows that are off by one, by what is off: seconds added to `after_s` and to `upto_s`.
_WINDOWS = {
    "window begins a minute earlier": (60, 0),
    "window begins a minute later": (-60, 0),
    "window ends a minute earlier": (0, 60),
    "window ends a minute later": (0, -60),
    "window is a minute earlier": (60, 60),
    "window is a minute later": (-60, -60),
}
_ROWS = {"row before": -1, "row after": 1}
_MINUTES = {"minute before": -_MINUTE, "minute after": _MINUTE}
# A computation that is off by one gives the served value: as it is told.
NEIGHBOURS = (*_ROWS, *_MINUTES, *_WINDOWS)


@dataclass(frozen=True)
class Offline:
    """The stored rows that requests of a day may read: the views by name, and the day's flights.

    `flights` are training rows, None where the day has none stored.
    """

    views: Mapping[str, pl.DataFrame]
    flights: pl.DataFrame | None


def read_offline(lake: Path, day: date) -> Offline:
    """What the lake has of `day`. Raises MissingPartitionError where features of the day are missing."""
    views = {name: read_view(lake / "features", name, day, day + _DAY) for name in BY_NAME}
    try:
        flights = read_training(lake / "training", day, day + _DAY)
    except MissingPartitionError:
        flights = None
    return Offline(views, flights)


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
    found = rows.select("request_id", "event_timestamp").join(
        of_flights.unique("request_id"), on="request_id", how="left", maintain_order="left"
    )
    return vectors(inputs_at(found, {}, inputs), inputs), found["known"].fill_null(value=False)


def current_rows(rows: pl.DataFrame, offline: Offline, inputs: Sequence[Input]) -> dict[str, pl.Series]:
    """By view that the inputs are made of: the position of the row that was current at each row's event time."""
    return {name: positions(rows, offline.views[name], BY_NAME[name]) for name in views_of(inputs)}


def values(rows: pl.DataFrame, offline: Offline, current: Mapping[str, pl.Series], inputs: Sequence[Input]) -> Values:
    """The `stored_inputs` made of these rows of the views: float32 [rows, inputs], NaN where missing."""
    return vectors(inputs_of(rows, offline.views, current, inputs), inputs)


def views_of(inputs: Sequence[Input]) -> list[str]:
    """Names of the views that the inputs are made of, each once."""
    return list(dict.fromkeys(view for i in inputs for view, _ in stored_features(i.source)))


def neighbours(
    rows: pl.DataFrame, offline: Offline, current: Mapping[str, pl.Series], inputs: Sequence[Input]
) -> dict[str, Values]:
    """The inputs of `rows` were the computation off by one, by NEIGHBOURS: a row, a minute, a window's bound."""
    found = {}
    for name, step in _ROWS.items():
        beside = {view: _beside(offline.views[view], view, step).gather(at) for view, at in current.items()}
        found[name] = values(rows, offline, beside, inputs)
    for name, by in _MINUTES.items():
        moved = rows.with_columns(pl.col("event_timestamp") + by)
        found[name] = values(moved, offline, current_rows(moved, offline, inputs), inputs)
    for name, (after, upto) in _WINDOWS.items():
        found[name] = values(rows, offline, current, [_widened(i, after, upto) for i in inputs])
    return found


def rows_at(rows: pl.DataFrame, served_at: Mapping[str, pl.Series], offline: Offline) -> dict[str, pl.Series]:
    """By view: the position of the row that the online store had, by its event time; null where there was none."""
    found = {}
    for view, at in served_at.items():
        # no row is older than every stored one: what has no time finds none
        known = rows.with_columns(event_timestamp=(at + _ROUNDING).fill_null(pl.lit(0).cast(at.dtype)))
        found[view] = positions(known, offline.views[view], BY_NAME[view])
    return found


def _is_stored(source: Source, columns: Sequence[str]) -> bool:
    return all(
        (found := BY_NAME.get(view)) is not None and feature in found.feature_names and {*found.join_keys} <= {*columns}
        for view, feature in stored_features(source)
    )


def _beside(frame: pl.DataFrame, view: str, step: int) -> pl.Series:
    """For each row the position of the same entity's row `step` after it."""
    keys = BY_NAME[view].join_keys
    beside = pl.col("at").shift(-step)
    return frame.with_row_index("at").select(beside.over(keys) if keys else beside)["at"]


def _widened(i: Input, after_s: int, upto_s: int) -> Input:
    if not isinstance(i.source, CountWithin | ShareWithin):
        return i
    source = msgspec.structs.replace(i.source, after_s=i.source.after_s + after_s, upto_s=i.source.upto_s + upto_s)
    return msgspec.structs.replace(i, source=source)
