"""The model's inputs, in order, with their sources; and the vectors they make of training rows."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.boards import BOARD_FROM, BOARD_TO, LAST_HOUR
from orchestration.features.views import VIEWS, View
from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    Input,
    MinutesSince,
    RequestField,
    ShareWithin,
    Source,
)

CATEGORIES = ("carrier", "origin")
Vocabularies = Mapping[str, tuple[str, ...]]

_FROM_S, _TO_S = int(BOARD_FROM.total_seconds()), int(BOARD_TO.total_seconds())
_HOUR_S = int(LAST_HOUR.total_seconds())
# What is computed at the time of reading, from the instants that a view stores.
_AT_READ: dict[str, dict[str, Source]] = {
    "tail_arrivals": {"r_tail_min_since_arr": MinutesSince("tail_arrivals", "last_arr_at")},
    "tail_departures": {"r_tail_min_since_dep": MinutesSince("tail_departures", "last_dep_at")},
    "origin_board": {
        "r_org_overdue_n": CountWithin("origin_board", "open_at", _FROM_S, _TO_S),
        "r_org_overdue_share": ShareWithin("origin_board", "open_at", "sched_at", _FROM_S, _TO_S),
    },
    "nyc_departures": {"r_nyc_dep_1h_late_share": ShareWithin("nyc_departures", "late_dep_at", "dep_at", _HOUR_S, 0)},
}


def vocabularies(rows: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Sorted values of each category in the training rows."""
    return {field: tuple(sorted(rows[field].drop_nulls().unique())) for field in CATEGORIES}


def model_inputs(vocabularies: Vocabularies) -> tuple[Input, ...]:
    """The 26 inputs in order: 7 of the request, 4 weather, 8 decayed means, 4 of the aircraft, 2 of the board, 1 of New York.

    `vocabularies` gives the sorted values of `carrier` and `origin`. Raises KeyError when one is missing.
    """
    stored = tuple(i for view in VIEWS for i in _of_view(view))
    return (
        *(_category(field, vocabularies[field]) for field in CATEGORIES),
        Input(name="s_dow", dtype="int32", source=RequestField("dow")),
        *(
            Input(name=f"s_{field}", dtype="float32", source=RequestField(field))
            for field in ("distance", "block", "dep_min", "sched_load")
        ),
        *stored,
    )


def vectors(frame: pl.DataFrame, inputs: Sequence[Input]) -> NDArray[np.float32]:
    """Model input of each row: float32 [rows, len(inputs)], columns in the contract's order.

    `frame` has a column for each input's name (see training.py). A category is its index in the vocabulary; nulls and
    categories outside the vocabulary are NaN.
    """
    return frame.select(_column(i) for i in inputs).to_numpy(order="c").astype(np.float32, copy=False)


def _column(i: Input) -> pl.Expr:
    column = pl.col(i.name)
    if i.dtype == "category":
        index = list(range(len(i.vocabulary)))
        column = column.replace_strict(list(i.vocabulary), index, default=None, return_dtype=pl.Float32)
    return column.cast(pl.Float32).fill_null(float("nan"))


def _category(field: str, vocabulary: tuple[str, ...]) -> Input:
    return Input(name=f"s_{field}", dtype="category", source=RequestField(field), vocabulary=vocabulary)


def _of_view(view: View) -> Iterator[Input]:
    for feature, dtype in view.features:
        if dtype == "float32":
            yield Input(name=feature, dtype="float32", source=Feature(view.name, feature))
    for name, source in _AT_READ.get(view.name, {}).items():
        yield Input(name=name, dtype="float32", source=source)
