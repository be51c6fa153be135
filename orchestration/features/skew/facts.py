"""What is known of each differing value: the row that was served, the row that was current, and what would have given it."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.skew.compare import Values, equal
from orchestration.features.skew.late import missed
from orchestration.features.skew.offline import NEIGHBOURS, Offline, current_rows, neighbours, rows_at, values
from orchestration.features.skew.policy import EXPLAINED_ROWS
from serving_gateway.contracts.model import Input, RequestField

_UTC = pl.Datetime("us", "UTC")
# One row a differing value. `status` is the view's in the prediction log; `served_at` and `offline_at` are the event times
# of the view's row in the online store and of the one that was current; `older` says that the row of `served_at` gives the
# served value, and a neighbour's column that the neighbour does. `weight`: differing values that this one stands for.
FACTS = pl.Schema(
    {
        "event_timestamp": _UTC,
        "served": pl.Float32(),
        "offline": pl.Float32(),
        "weight": pl.Float64(),
        "late": pl.Boolean(),
        "status": pl.String(),
        "served_at": _UTC,
        "offline_at": _UTC,
        "older": pl.Boolean(),
        **dict.fromkeys(NEIGHBOURS, pl.Boolean()),
    }
)


def spaced(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most EXPLAINED_ROWS of the rows, evenly spaced."""
    if len(rows) <= EXPLAINED_ROWS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, EXPLAINED_ROWS).astype(np.int64)]


def facts(
    rows: pl.DataFrame,
    inputs: Sequence[Input],
    served: Values,
    offline: Values,
    *,
    store: Offline,
    late: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """FACTS of the differing values of stored inputs, by the input's name; of those without any, nothing.

    Args:
        rows: as served.py reads them, in event order.
        inputs: stored inputs.
        served: what was served of them, float32 [rows, inputs].
        offline: what the offline store gives.
        store: the offline store.
        late: events that came late.
    """
    differing = ~equal(served, offline)
    chosen = [spaced(np.flatnonzero(differing[:, j])) for j in range(len(inputs))]
    union = np.unique(np.concatenate([np.empty(0, np.int64), *chosen]))
    if not len(union):
        return {}
    some = rows[union]
    current = current_rows(some, store, inputs)
    views = _view_facts(some, current, store, late)
    online = rows_at(some, {view: told["served_at"] for view, told in views.items()}, store)
    older = values(some, store, online, inputs)
    beside = neighbours(some, store, current, inputs)
    found = {}
    for j, i in enumerate(inputs):
        if isinstance(i.source, RequestField) or not len(chosen[j]):
            continue
        said, at = served[union, j], np.searchsorted(union, chosen[j])
        told = views[i.source.view].with_columns(
            served=pl.Series(said),
            offline=pl.Series(offline[union, j]),
            weight=pl.lit(differing[:, j].sum() / len(chosen[j])),
            older=pl.Series(equal(said, older[:, j])),
            **{name: pl.Series(equal(said, value[:, j])) for name, value in beside.items()},
        )
        found[i.name] = told.select(FACTS.names())[at].cast(FACTS)
    return found


def bare_facts(rows: pl.DataFrame, served: Values, offline: Values) -> pl.DataFrame:
    """FACTS of the differing values of an input that no view holds: float32 [rows], only the values are known."""
    differing = np.flatnonzero(~equal(served, offline))
    at = spaced(differing)
    told = rows[at].select(
        "event_timestamp",
        served=pl.Series(served[at]),
        offline=pl.Series(offline[at]),
        weight=pl.lit(len(differing) / max(len(at), 1)),
        **dict.fromkeys(("late", "older", *NEIGHBOURS), pl.lit(value=False)),
        status=pl.lit(None, pl.String()),
        **dict.fromkeys(("served_at", "offline_at"), pl.lit(None, _UTC)),
    )
    return told.select(FACTS.names()).cast(FACTS)


def _view_facts(
    rows: pl.DataFrame, current: Mapping[str, pl.Series], store: Offline, late: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """By view: event_timestamp, status, served_at, offline_at and late of each row."""
    ages = rows.with_row_index("row").select("row", "event_timestamp", "views").explode("views").unnest("views")
    found = {}
    for view, position in current.items():
        offline_at = store.views[view]["event_timestamp"].gather(position)
        of_view = ages.filter(pl.col("view") == view).select("row", "status", "age_s")
        found[view] = (
            rows.with_row_index("row")
            .select("row", "event_timestamp", offline_at=offline_at, late=missed(rows, late, view))
            .join(of_view.unique("row"), on="row", how="left", maintain_order="left")
            .with_columns(served_at=pl.col("event_timestamp") - (pl.col("age_s") * 1e6).round().cast(pl.Duration("us")))
        )
    return found
