"""Exponentially decayed means of delays.

At an event of a key at t:  mean = sum(w x) / sum(w)  with  w = 2^-((t - t_i) / half-life) over the key's events t_i <= t.
Between events every weight shrinks by the same factor, so the stored value stays exact when it is read later.

A sum goes back to the beginning of the fourth day before its own: a weight of 2^-32 at a half-life of 3 h, far below the
float32 that is stored. So a partition follows from the same events whichever range computes it, to the last bit. The
seven raw days of warm-up hold them all: the latest arrival on record came 33 h after the flight's schedule.
"""

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.timelines import Movement, Sums, Timeline, Values, float32
from orchestration.features.views import LATE_MIN, LEAD

CLIP_MIN = (-15.0, 180.0)
HISTORY_DAYS = 4
# Multiplied by, not divided: polars would do that to a column anyway, and the last bit would differ from one value's.
_HOURS = 1 / 3_600_000_000.0  # a microsecond
_DAY_US = 86_400_000_000
_LEAD_US = LEAD // timedelta(microseconds=1)

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


def last_decayed_means(entries: Timeline[Movement], *, half_life_h: float) -> Values:
    """The features of the last row that `decayed_means` has of one key, to the last bit."""
    day = (entries[-1].at + _LEAD_US) // _DAY_US
    stood = entries.sums
    if stood is None or stood.day != day:
        stood = Sums(day, entries.reached((day - HISTORY_DAYS) * _DAY_US - _LEAD_US - 1), -math.inf, 0.0, 0.0, 0.0)
    _, taken, before, weight, delays, lates = stood
    shrink, (low, high) = -math.log(2.0) / half_life_h, CLIP_MIN
    for at, _, delay in entries[taken:]:
        decay = math.exp((at - before) * _HOURS * shrink)
        weight = weight * decay + 1.0
        delays = delays * decay + min(max(delay, low), high)
        lates = lates * decay + (delay > LATE_MIN)
        before = at
    entries.sums = Sums(day, len(entries), before, weight, delays, lates)
    return float32(delays / weight), float32(lates / weight)


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
    gap_h = pl.col("event_timestamp").diff().dt.total_microseconds() * _HOURS
    same = pl.col("series") == pl.col("series").shift(1)
    decay = pl.when(same).then((gap_h * (-math.log(2.0) / half_life_h)).exp()).otherwise(0.0)
    return ordered.select(decay=decay)["decay"].to_numpy()


def _decayed_sums(decay: Floats, terms: Floats, series: NDArray[np.int64]) -> Floats:
    """s_i = s_(i-1) * decay_i + terms_i within each run of equal `series`, column by column: float64 [rows, columns].

    All series take a step together.
    """
    starts = np.flatnonzero(np.r_[True, series[1:] != series[:-1]]) if len(series) else np.empty(0, np.int64)
    lengths = np.diff(np.r_[starts, len(series)])
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
