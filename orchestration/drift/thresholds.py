"""What PSI is usual: thresholds fitted to a column's own past windows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from orchestration.drift.policy import FEWEST_WINDOWS, LEAST_PSI, QUANTILE
from orchestration.drift.psi import prepared, scores

_STEP = timedelta(days=1)


def past_windows(rows: pl.DataFrame, *, end: datetime, length: timedelta) -> list[pl.DataFrame]:
    """Whole windows of `length` back from `end`, the last first; empty ones are left out.

    One follows the other, but longer windows than a day begin every day: a quarter has few weeks, and they overlap.
    `rows` has `event_timestamp` beside the columns to compare; the windows have the columns alone.
    """
    if rows.is_empty():
        return []
    times = rows["event_timestamp"]
    step = min(length, _STEP)
    count = (end - times.min() - length) // step + 1  # type: ignore[operator]
    starts = (end - i * step - length for i in range(count))
    windows = (rows.filter(times.is_between(start, start + length, closed="left")) for start in starts)
    return [window.drop("event_timestamp") for window in windows if not window.is_empty()]


def fitted_thresholds(reference: pl.DataFrame, windows: Sequence[pl.DataFrame]) -> dict[str, float]:
    """PSI from which a column counts as drifted: what `QUANTILE` of its past windows stayed below, `LEAST_PSI` at least.

    Args:
        reference: columns that a current window is compared with.
        windows: the same columns, past windows of the current one's length.

    Returns:
        A threshold a column; `LEAST_PSI` for all where there are fewer than `FEWEST_WINDOWS` windows.
    """
    limits = dict.fromkeys(reference.columns, LEAST_PSI)
    if len(windows) < FEWEST_WINDOWS:
        return limits
    columns = prepared(reference, reference.columns)
    past = [scores(columns, window) for window in windows]
    for name in columns:
        if seen := [psi[name] for psi in past if name in psi]:
            limits[name] = max(LEAST_PSI, float(np.quantile(seen, QUANTILE)))
    return limits
