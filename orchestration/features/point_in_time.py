"""The model's inputs as they stood at each row's time, in columns: for training, and to recompute what was served.

Two steps. `positions` finds the row of a view that was current; the contract's sources are then evaluated over what these
rows hold. Their scalar twin is serving_gateway/vectors.py; a property test holds the two equal, to the bit.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.views import BY_NAME, View
from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    Input,
    MinutesSince,
    RequestField,
    ShareWithin,
    Source,
    stored_features,
)

Floats = NDArray[np.float64]
Within = CountWithin | ShareWithin


def inputs_at(rows: pl.DataFrame, views: Mapping[str, pl.DataFrame], inputs: Sequence[Input]) -> pl.DataFrame:
    """The inputs at each row's `event_timestamp`, one column each in their order; rows in the order given.

    Args:
        rows: event_timestamp Datetime("us", "UTC"), the join keys, and the fields of the request that `inputs` name.
        views: for each view that `inputs` read, its rows sorted by event_timestamp, reaching back by its ttl.
        inputs: what to evaluate.

    Returns:
        Fields of the request as they are; all else Float32, null where the view has no row at that time, none within its
        ttl, or a null.

    Raises:
        RuntimeError: if a join lost or multiplied rows.
    """
    read = dict.fromkeys(view for i in inputs for view, _ in stored_features(i.source))
    return inputs_of(rows, views, {name: positions(rows, views[name], BY_NAME[name]) for name in read}, inputs)


def inputs_of(
    rows: pl.DataFrame, views: Mapping[str, pl.DataFrame], current: Mapping[str, pl.Series], inputs: Sequence[Input]
) -> pl.DataFrame:
    """`inputs_at` where it is known which row of each view is read: its position in `views`, null for none."""
    now_s = rows["event_timestamp"].dt.cast_time_unit("us").to_physical().to_numpy() / 1e6
    return pl.DataFrame([_evaluate(i.source, rows, now_s, views, current).alias(i.name) for i in inputs])


def positions(rows: pl.DataFrame, view_rows: pl.DataFrame, view: View) -> pl.Series:
    """For each row the position in `view_rows` of the last one at or before it, null where that is older than the ttl.

    Raises RuntimeError if the join lost or multiplied rows.
    """
    asked = rows.select("event_timestamp", *view.join_keys).with_row_index("asked").sort("event_timestamp")
    found = _joined(asked, view_rows.select("event_timestamp", *view.join_keys).with_row_index("position"), view)
    if found.height != rows.height:
        raise RuntimeError(f"the point-in-time join of {view.name} made {found.height} rows of {rows.height}")
    return found.sort("asked")["position"]


def _joined(asked: pl.DataFrame, stored: pl.DataFrame, view: View) -> pl.DataFrame:
    return asked.join_asof(
        stored,
        on="event_timestamp",
        by=list(view.join_keys) or None,
        strategy="backward",
        tolerance=timedelta(seconds=view.ttl_s),
        check_sortedness=False,  # cannot be checked within groups; both sides are sorted
    )


def _evaluate(
    source: Source,
    rows: pl.DataFrame,
    now_s: Floats,
    views: Mapping[str, pl.DataFrame],
    current: Mapping[str, pl.Series],
) -> pl.Series:
    match source:
        case RequestField(field=field):
            return rows[field]
        case Feature(view=view, feature=feature):
            return views[view][feature].gather(current[view]).cast(pl.Float32)
        case MinutesSince(view=view, feature=feature):
            instant = views[view][feature].gather(current[view])
            return ((pl.Series(now_s) - instant) / 60.0).cast(pl.Float32)
        case CountWithin(view=view, feature=feature):
            return _count(views[view][feature], current[view], now_s, source).cast(pl.Float32)
        case ShareWithin(view=view, part=part, whole=whole):
            n, of = (_count(views[view][name], current[view], now_s, source) for name in (part, whole))
            return pl.select(pl.when(of > 0).then(n / of)).to_series().cast(pl.Float32)


def _count(lists: pl.Series, current: pl.Series, now_s: Floats, within: Within) -> pl.Series:
    """Float64: how many instants of the current list lie in (now - after_s, now - upto_s]; null where there is no list."""
    known = lists.is_not_null().gather(current).fill_null(value=False)
    at = current.fill_null(0).to_numpy()
    upto, after = (_upto(lists, at, now_s - seconds) for seconds in (within.upto_s, within.after_s))
    return pl.select(pl.when(known).then(pl.Series(upto - after, dtype=pl.Float64))).to_series()


def _upto(lists: pl.Series, at: NDArray[np.uint32], bounds: Floats) -> NDArray[np.int64]:
    """How many of the ascending values of list `at[i]` are at most `bounds[i]`: binary search, all rows in step."""
    if not len(lists):
        return np.zeros(len(at), np.int64)
    stored = lists.rechunk().to_arrow()
    values, offsets = stored.values.to_numpy(zero_copy_only=False), stored.offsets.to_numpy()
    first, last = offsets[at], offsets[at + 1]
    low, high = first.copy(), last.copy()
    while (low < high).any():
        middle = (low + high) // 2
        below = (low < high) & (values[np.minimum(middle, len(values) - 1)] <= bounds)
        low, high = np.where(below, middle + 1, low), np.where(below | (low >= high), high, middle)
    return np.asarray(low - first, np.int64)
