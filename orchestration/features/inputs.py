"""The model's inputs, in order, with their sources; and the vectors they make of training rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.views import VIEWS
from serving_gateway.contracts.model import Feature, Input, MinutesSince, RequestField

CATEGORIES = ("carrier", "origin")
Vocabularies = Mapping[str, tuple[str, ...]]

# A feature of these names is an instant: the model sees the minutes since then.
_MINUTES_SINCE = {"last_arr_at": "r_tail_min_since_arr", "last_dep_at": "r_tail_min_since_dep"}


def vocabularies(rows: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Sorted values of each category in the training rows."""
    return {field: tuple(sorted(rows[field].drop_nulls().unique())) for field in CATEGORIES}


def model_inputs(vocabularies: Vocabularies) -> tuple[Input, ...]:
    """The 26 inputs in order: 7 of the request, 4 weather, 8 decayed means, 4 of the aircraft, 2 of the board, 1 of New York.

    `vocabularies` gives the sorted values of `carrier` and `origin`. Raises KeyError when one is missing.
    """
    stored = tuple(_stored(view.name, feature) for view in VIEWS for feature in view.feature_names)
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


def _stored(view: str, feature: str) -> Input:
    if feature in _MINUTES_SINCE:
        return Input(name=_MINUTES_SINCE[feature], dtype="float32", source=MinutesSince(view, feature))
    return Input(name=feature, dtype="float32", source=Feature(view, feature))
