"""What the gateway would have logged of some days' requests: vectors, and the age of every view that was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.compute import read_view
from orchestration.features.inputs import vectors
from orchestration.features.point_in_time import inputs_of, positions
from orchestration.features.views import BY_NAME, VIEWS
from serving_gateway.contracts import Input

Views = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Served:
    """`vectors` float32 [n, k]; `ages` view to seconds since its row's timestamp, float64 [n], NaN where none was found."""

    vectors: NDArray[np.float32]
    ages: Mapping[str, NDArray[np.float64]]


def stored_views(features: Path, start: date, end: date) -> dict[str, pl.DataFrame]:
    """All that requests for flights of the days [start, end) may read."""
    return {view.name: read_view(features, view.name, start, end) for view in VIEWS}


def served(rows: pl.DataFrame, views: Views, inputs: Sequence[Input]) -> Served:
    """Answer the requests `rows` from `views` as training rows are made: by the point-in-time join, with each view's ttl."""
    current = {name: positions(rows, frame, BY_NAME[name]) for name, frame in views.items()}
    return Served(
        vectors(inputs_of(rows, views, current, inputs), inputs),
        {name: _ages(rows, frame, current[name]) for name, frame in views.items()},
    )


def between(log: Served, asked: pl.Series, after: datetime, upto: datetime) -> Served:
    """The requests made in (`after`, `upto`]; `asked` [n] says when each one of `log` was."""
    here = slice(asked.search_sorted(after, side="right"), asked.search_sorted(upto, side="right"))
    return Served(log.vectors[here], {view: ages[here] for view, ages in log.ages.items()})


def _ages(rows: pl.DataFrame, frame: pl.DataFrame, current: pl.Series) -> NDArray[np.float64]:
    age = rows["event_timestamp"] - frame["event_timestamp"].gather(current)
    return (age.dt.total_microseconds() / 1e6).cast(pl.Float64).fill_null(float("nan")).to_numpy()
