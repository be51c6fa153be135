"""What a day of requests usually looks like: what the daily checks of the data compare with."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.backtest.plan import WEEK
from orchestration.backtest.served import Served
from orchestration.drift.data_quality import null_shares, outside_shares, usual_limits, usual_ranges
from orchestration.drift.freshness import age_limits, stale_shares
from orchestration.drift.policy import NULL_MARGIN, OUTSIDE_MARGIN
from orchestration.drift.psi import ReferenceColumn, prepared
from orchestration.drift.thresholds import fitted_thresholds, past_windows
from orchestration.features.views import BY_NAME, view_window
from serving_gateway.contracts import Input

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Usual:
    """The reference's columns, and by feature or view the limits above which a day is unusual; `weekly_psi`: a week.

    `rows` is how many a day has.
    """

    reference: dict[str, ReferenceColumn]
    inputs: Sequence[Input]
    psi: Mapping[str, float]
    weekly_psi: Mapping[str, float]
    ranges: Mapping[str, tuple[float, float]]
    nulls: Mapping[str, float]
    outside: Mapping[str, float]
    stale: Mapping[str, float]
    ages_s: Mapping[str, float]
    rows: float


def usual_days(
    asked: pl.Series,
    vectors: NDArray[np.float32],
    recent: Sequence[Mapping[str, float]],
    inputs: Sequence[Input],
    *,
    end: date,
) -> Usual:
    """Fitted to the requests of a training window, day by day.

    Args:
        asked: when each was made, [n].
        vectors: [n, k] in the order of `inputs`.
        recent: median ages in seconds by view of days before `end`, as they were served.
        inputs: of the model.
        end: the day after the last of the window.
    """
    whole = frame_of(vectors, inputs)
    timed, last = whole.with_columns(asked.alias("event_timestamp")), view_window(end, end)[0]
    past, weeks = (past_windows(timed, end=last, length=length) for length in (DAY, WEEK))
    ranges = usual_ranges(whole)
    outside = [outside_shares(window, ranges) for window in past]
    stale = [stale_shares(window, inputs) for window in past]
    return Usual(
        reference=prepared(whole, whole.columns),
        inputs=inputs,
        psi=fitted_thresholds(whole, past),
        weekly_psi=fitted_thresholds(whole, weeks),
        ranges=ranges,
        nulls=usual_limits(null_shares(whole), [null_shares(window) for window in past], margin=NULL_MARGIN),
        outside=usual_limits(outside_shares(whole, ranges), outside, margin=OUTSIDE_MARGIN),
        stale=usual_limits(stale_shares(whole, inputs), stale, margin=NULL_MARGIN),
        ages_s=age_limits({name: float(view.ttl_s) for name, view in BY_NAME.items()}, recent),
        rows=statistics.median(window.height for window in past),
    )


def frame_of(vectors: NDArray[np.float32], inputs: Sequence[Input]) -> pl.DataFrame:
    """Vectors as columns by name; NaN is null."""
    return pl.from_numpy(vectors, schema=[i.name for i in inputs]).fill_nan(None)


def median_ages(served: Served) -> dict[str, float]:
    """Median age in seconds of each view that was found at all."""
    return {view: float(np.nanmedian(ages)) for view, ages in served.ages.items() if not np.isnan(ages).all()}
