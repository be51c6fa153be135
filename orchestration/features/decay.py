"""Exponentially decayed means of delays.

At an event of a key at t:  mean = sum(w x) / sum(w)  with  w = 2^-((t - t_i) / half-life) over the key's events t_i <= t.
Between events every weight shrinks by the same factor, so the stored value stays exact when it is read later.

A sum goes back to the beginning of the fourth day before its own: a weight of 2^-32 at a half-life of 3 h, far below the
float32 that is stored. So a partition follows from the same events whichever range computes it, to the last bit. The
seven raw days of warm-up hold them all: the latest arrival on record came 33 h after the flight's schedule.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.views import LATE_MIN, LEAD

CLIP_MIN = (-15.0, 180.0)
HISTORY_DAYS = 4
# Series in a step that pay for the step's overhead.
TOGETHER = 40

Floats = NDArray[np.float64]


def decayed_means(events: pl.DataFrame, keys: Sequence[str], *, half_life_h: float, prefix: str) -> pl.DataFrame:
    """One row a key and instant with events, all simultaneous events of the key included.

    Args:
        events: `event_timestamp`, `delay` (minutes) and the keys, in one order (see events.py): sums follow it.
        keys: the key's columns.
        half_life_h: half-life in hours.
        prefix: the features are `<prefix>_mean` (minutes, delays clipped to [-15, 180]) and `<prefix>_late`
            (decayed share of delays above 15 minutes), both Float32.

    Returns:
        event_timestamp, keys, the two features; sorted by event_timestamp and keys.
    """
    return _means(_with_history(events, keys), keys, half_life_h, prefix)


def last_decayed_means(events: pl.DataFrame, keys: Sequence[str], *, half_life_h: float, prefix: str) -> pl.DataFrame:
    """The last row of each key in `decayed_means` of the same events, to the last bit, by one sum instead of one a row's day."""
    last = pl.col("event_timestamp").max().over(keys)
    day = (pl.col("event_timestamp") + LEAD).dt.date()
    of_last = events.filter(day >= (last + LEAD).dt.date() - pl.duration(days=HISTORY_DAYS))
    index = of_last.select(keys).unique().with_row_index("series")
    ordered = (
        of_last.join(index, on=keys, maintain_order="left")
        .with_columns(of_partition=pl.col("event_timestamp") == last)
        .sort("series", maintain_order=True)
    )
    return _means(ordered, keys, half_life_h, prefix)


def _means(ordered: pl.DataFrame, keys: Sequence[str], half_life_h: float, prefix: str) -> pl.DataFrame:
    """The decayed means of events in their series, at those that are `of_partition`."""
    decay = _decay_since_previous(ordered, half_life_h)
    delay = ordered["delay"].to_numpy()
    terms = np.column_stack([np.ones_like(delay), np.clip(delay, *CLIP_MIN), delay > LATE_MIN])
    weight, delays, lates = _decayed_sums(decay, terms, ordered["series"].to_numpy()).T
    mean, late = delays / weight, lates / weight
    return (
        ordered.select("event_timestamp", *keys, "of_partition")
        .with_columns(
            pl.Series(f"{prefix}_mean", mean, dtype=pl.Float64).cast(pl.Float32),
            pl.Series(f"{prefix}_late", late, dtype=pl.Float64).cast(pl.Float32),
        )
        .filter("of_partition")
        .drop("of_partition")
        .unique(["event_timestamp", *keys], keep="last", maintain_order=True)
        .sort("event_timestamp", *keys)
    )


def _with_history(events: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Every event once for its own feature partition (`of_partition`), once for each later one whose sums it enters.

    Sorted by key and partition (together the column `series`, an integer: it sorts ten times faster than strings), and
    within these by time: older days come first below, and the sort is stable.
    """
    index = events.select(keys).unique().with_row_index("key")
    day = (pl.col("event_timestamp") + LEAD).dt.epoch("d").cast(pl.Int64)
    indexed = events.join(index, on=keys, maintain_order="left")
    blocks = [
        indexed.with_columns(
            series=pl.col("key").cast(pl.Int64) * 1_000_000 + day + ahead, of_partition=pl.lit(ahead == 0)
        )
        for ahead in range(HISTORY_DAYS, -1, -1)
    ]
    return pl.concat(blocks).sort("series", maintain_order=True)


def _decay_since_previous(ordered: pl.DataFrame, half_life_h: float) -> Floats:
    """2^-(gap / half-life) to the previous event of the same series; 0 at the first event of a series."""
    gap_h = pl.col("event_timestamp").diff().dt.total_microseconds() / 3_600_000_000.0
    same = pl.col("series") == pl.col("series").shift(1)
    decay = pl.when(same).then((gap_h * (-math.log(2.0) / half_life_h)).exp()).otherwise(0.0)
    return ordered.select(decay=decay)["decay"].to_numpy()


def _decayed_sums(decay: Floats, terms: Floats, series: NDArray[np.int64]) -> Floats:
    """s_i = s_(i-1) * decay_i + terms_i within each run of equal `series`, column by column: float64 [rows, columns].

    Where there are many series, all take a step together; where there are few, one after another is cheaper. The same
    multiplications and additions either way, so the same bits.
    """
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else np.empty(0, np.int64)
    lengths = np.diff(np.r_[starts, len(series)])
    if len(series) < TOGETHER * lengths.max(initial=0):
        return np.column_stack([_one_by_one(decay, column) for column in terms.T])
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    active = np.searchsorted(
        -lengths, -np.arange(lengths.max(initial=0)), side="left"
    )  # how many are longer than a step
    sums, running = np.empty_like(terms), np.zeros((len(starts), terms.shape[1]))
    for step, n in enumerate(active):
        at = starts[:n] + step
        running = running[:n] * decay[at, None] + terms[at]
        sums[at] = running
    return sums


def _one_by_one(decay: Floats, x: Floats) -> Floats:
    """The recursion row by row; `decay` is 0 where a series begins."""
    steps = zip(decay.tolist(), x.tolist(), strict=True)
    sums = accumulate(steps, lambda s, step: s * step[0] + step[1], initial=0.0)
    next(sums)
    return np.fromiter(sums, np.float64, len(x))
