"""What PSI is usual: thresholds fitted to a column's own past windows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from orchestration.drift.policy import FEWEST_WINDOWS, LEAST_PSI, QUANTILE
from orchestration.drift.psi import psi


def past_windows(rows: pl.DataFrame, *, end: datetime, length: timedelta) -> list[pl.DataFrame]:
    """Windows of `length`, one after the other back from `end`; empty and cut ones are left out.

    `rows` has `event_timestamp` beside the columns to compare; the windows have the columns alone.
    """
    if rows.is_empty():
        return []
    times = rows["event_timestamp"]
    first = times.min()
    count = (end - first) // length  # type: ignore[operator]
    starts = (end - (i + 1) * length for i in range(count))
    windows = (rows.filter(times.is_between(start, start + length, closed="left")) for start in starts)
    return [window.drop("event_timestamp") for window in windows if not window.is_empty()]


def fitted_thresholds(reference: pl.DataFrame, windows: Sequence[pl.DataFrame]) -> dict[str, float]:
    """PSI from which a column counts as drifted: what `QUANTILE` of its past windows stayed below, `LEAST_PSI` at least.

    Args:
        reference: numeric columns that a current window is compared with.
        windows: the same columns, past windows of the current one's length.

    Returns:
        A threshold a column; `LEAST_PSI` for all where there are fewer than `FEWEST_WINDOWS` windows.
    """
    if len(windows) < FEWEST_WINDOWS:
        return dict.fromkeys(reference.columns, LEAST_PSI)
    return {name: max(LEAST_PSI, _usual(reference[name], [w[name] for w in windows])) for name in reference.columns}


def _usual(reference: pl.Series, windows: Sequence[pl.Series]) -> float:
    known = reference.drop_nulls().to_numpy()
    seen = [psi(known, values) for w in windows if len(values := w.drop_nulls().to_numpy())]
    return float(np.quantile(seen, QUANTILE)) if seen and len(known) else LEAST_PSI
