"""Nulls and values out of range: shares of a window's rows by feature, and what share is usual.

A data alarm says that a source or a pipeline may be broken. Every arm was given the same values, so it rolls nothing back.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from orchestration.drift.policy import FEWEST_ROWS, FEWEST_WINDOWS, RANGE_QUANTILES, RANGE_SPREADS, USUAL_QUANTILE

NAMED = 3
Shares = dict[str, float]


@dataclass(frozen=True)
class DataVerdict:
    """`unusual` names what is above its limit, the farthest first."""

    outcome: Literal["pass", "fail", "inconclusive"]
    reason: str
    unusual: tuple[str, ...] = field(default=())


def null_shares(window: pl.DataFrame) -> Shares:
    """By column, the share of rows in [0, 1] without a value; NaN is none. The window has a row at least."""
    counted = window.select(known(name, dtype).is_null().mean().alias(name) for name, dtype in window.schema.items())
    return counted.row(0, named=True)


def usual_ranges(reference: pl.DataFrame) -> dict[str, tuple[float, float]]:
    """By numeric column, the values from lowest to highest, both included, that are plausible.

    RANGE_QUANTILES of the reference, widened on either side by RANGE_SPREADS of their distance. A column without values
    is left out.
    """
    low_q, high_q = RANGE_QUANTILES
    names = [name for name, dtype in reference.schema.items() if dtype.is_numeric()]
    lows, highs = (
        reference.select(known(name, reference.schema[name]).quantile(q) for name in names).row(0)
        for q in (low_q, high_q)
    )
    found = zip(names, lows, highs, strict=True)
    return {name: _widened(low, high) for name, low, high in found if low is not None and high is not None}


def outside_shares(window: pl.DataFrame, ranges: Mapping[str, tuple[float, float]]) -> Shares:
    """By column of `ranges`, the share of all rows in [0, 1] whose value lies outside; a null lies nowhere."""
    counted = window.select(
        (~known(name, window.schema[name]).is_between(low, high)).fill_null(False).mean().alias(name)
        for name, (low, high) in ranges.items()
    )
    return counted.row(0, named=True)


def usual_limits(overall: Mapping[str, float], past: Sequence[Mapping[str, float]], *, margin: float) -> Shares:
    """The share above which a name is unusual.

    Args:
        overall: shares of the whole reference window.
        past: shares of its windows of the current one's length.
        margin: added to what is usual.

    Returns:
        By name of `overall`: USUAL_QUANTILE of the past shares plus `margin`; with fewer than FEWEST_WINDOWS of them the
        overall share takes the quantile's place.
    """
    if len(past) < FEWEST_WINDOWS:
        return {name: share + margin for name, share in overall.items()}
    return {name: float(np.quantile([p[name] for p in past], USUAL_QUANTILE)) + margin for name in overall}


def judge_shares(
    shares: Mapping[str, float], limits: Mapping[str, float], *, what: str, rows: int, usual_rows: float | None
) -> DataVerdict:
    """Fail where any share is above its limit, unless the window has too few rows to tell.

    Args:
        shares: of the window, by name.
        limits: by name; a name without one is not judged.
        what: is said of a name that is above, as "is null".
        rows: of the window.
        usual_rows: median of past windows of the same length; None where none are known.
    """
    if not rows:
        return DataVerdict("inconclusive", "no row has been logged")
    if usual_rows is not None and rows < FEWEST_ROWS * usual_rows:
        return DataVerdict("inconclusive", f"{rows} rows, where {usual_rows:.0f} are usual, are too few to tell")
    above = {name: share - limits[name] for name, share in shares.items() if name in limits and share > limits[name]}
    if not above:
        return DataVerdict("pass", f"as usual, in all of {len(limits)}")
    worst = sorted(above, key=lambda name: -above[name])
    said = [f"{name} {what} in {shares[name]:.1%} of the rows (usual: up to {limits[name]:.1%})" for name in worst]
    more = f" and {len(worst) - NAMED} more" if len(worst) > NAMED else ""
    return DataVerdict("fail", ", ".join(said[:NAMED]) + more, tuple(worst))


def usual_height(past: Sequence[pl.DataFrame]) -> float | None:
    """Median number of rows of past windows; None where there are none."""
    return statistics.median(window.height for window in past) if past else None


def _widened(low: float, high: float) -> tuple[float, float]:
    spread = (high - low) * RANGE_SPREADS
    return low - spread, high + spread


def known(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column in which NaN is null, too."""
    return pl.col(name).fill_nan(None) if dtype.is_float() else pl.col(name)
