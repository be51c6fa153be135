"""Why a feature differs: simple signs, taken in this order, each over what the ones before left unexplained.

A sign is no proof: a report says "looks like".

- `late event`: an event that feeds the entity had happened and the online store had it later (features/late/).
- `frozen view`: the row that was served is older than the current one, and over FROZEN_FOR or more of event time no row
  newer than one instant was served, so that ages only grow. What expires on the way belongs to it.
- `expired`: the view was served as expired or missing where a row was to be had.
- `stale row`: the row that was served is older than the current one, and gives the served value: the writer was behind.
- `unit`: served / offline is one constant, not 1.
- `shifted window`: the served value is what offline is where off by one: the view's row before or after, a minute before
  or after, or for a count a window that begins or ends, or both, a minute earlier or later.
- `unknown`: none of these.

Rows that were answered by default, without the online store, are not among these: served.py counts them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import polars as pl

from orchestration.features.skew.offline import NEIGHBOURS
from orchestration.features.skew.policy import (
    FEWEST_FITTING,
    FITTING_SHARE,
    FROZEN_FOR,
    LEAST_RATIO,
    RATIO_TOLERANCE,
)

LATE_EVENT, FROZEN, EXPIRED, STALE, UNIT, SHIFTED, UNKNOWN = (
    "late event", "frozen view", "expired", "stale row", "unit", "shifted window", "unknown",
)  # fmt: skip
# The data came late, the computation is right: judged by a bound of their own.
LATE_DATA = (LATE_EVENT, STALE)


@dataclass(frozen=True)
class Reason:
    """A cause: how many differing rows it looks like the cause of, and what says so."""

    name: str
    rows: float
    detail: str = ""


_Sign = Callable[[pl.DataFrame], tuple[pl.Series, str]]


def reasons(facts: pl.DataFrame) -> list[Reason]:
    """The causes of a feature's differing values (FACTS of facts.py, in event order), the most frequent first."""
    left, found = facts, []
    for name, sign in _SIGNS.items():
        if left.is_empty():
            break
        fits, detail = sign(left)
        if fits.any():
            found.append(Reason(name, _weight(left.filter(fits)), detail))
            left = left.filter(~fits)
    if not left.is_empty():
        detail = (
            "the offline store has no row"
            if left["served_at"].is_not_null().all() and left["offline_at"].is_null().all()
            else ""
        )
        found.append(Reason(UNKNOWN, _weight(left), detail))
    return sorted(found, key=lambda reason: -reason.rows)


def _late_event(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    return facts["late"], "events that the online store had later"


def _frozen(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    """The instant is the newest row served in the latest tenth of these rows."""
    behind = facts.with_row_index("at").filter(_is_older() & (pl.col("older") | (pl.col("status") == "expired")))
    if behind.height < FEWEST_FITTING:
        return _none(facts), ""
    last = cast("datetime | None", behind.tail(max(1, behind.height // 10))["served_at"].max())
    fits = behind.filter(pl.col("served_at") <= last, pl.col("offline_at") > last)
    times = fits["event_timestamp"]
    long = len(times) >= FEWEST_FITTING and times[-1] - times[0] >= FROZEN_FOR
    if not long or len(times) < FITTING_SHARE * behind.height:
        return _none(facts), ""
    return _at(
        facts, fits["at"]
    ), f"no row newer than {last:%F %T} was served from {times[0]:%F %T} to {times[-1]:%F %T}"


def _expired(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    gone = pl.col("status").is_in(["expired", "missing"]) & pl.col("offline_at").is_not_null()
    said = facts.filter(gone)["status"].unique().sort().to_list()
    return _where(facts, gone), f"the view was {' or '.join(said)} where the offline store has a row"


def _stale(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    stale = _is_older() & pl.col("older")
    behind = facts.filter(stale).select((pl.col("offline_at") - pl.col("served_at")).dt.total_seconds().median()).item()
    return _where(facts, stale), f"the row served was older than the current one, by {behind or 0:g} s in the median"


def _unit(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    ratios = facts.select(ratio=pl.col("served").cast(pl.Float64) / pl.col("offline").cast(pl.Float64))
    factor = ratios.filter(pl.col("ratio").is_finite())["ratio"].median()
    if not isinstance(factor, float) or abs(factor - 1) <= LEAST_RATIO or not factor:
        return _none(facts), ""
    fits = _where(ratios, (pl.col("ratio") / factor - 1).abs() <= RATIO_TOLERANCE)
    several = facts.filter(fits)["offline"].n_unique() > 1  # one value alone has a constant ratio to anything
    if not several or not _common(fits):
        return _none(facts), ""
    times = f"{factor:.4g}" if abs(factor) >= 1 else f"1/{1 / factor:.4g}"
    return fits, f"served is {times} times offline"


def _shifted(facts: pl.DataFrame) -> tuple[pl.Series, str]:
    fitting = {name: int(facts[name].sum()) for name in NEIGHBOURS}
    best = [name for name, rows in fitting.items() if rows == max(fitting.values())]
    if not _common(facts[best[0]]):
        return _none(facts), ""
    return facts[best[0]], f"served is what offline is where off by one: {' or '.join(best)}"


_SIGNS: dict[str, _Sign] = {
    LATE_EVENT: _late_event,
    FROZEN: _frozen,
    EXPIRED: _expired,
    STALE: _stale,
    UNIT: _unit,
    SHIFTED: _shifted,
}


def _weight(facts: pl.DataFrame) -> float:
    """Number of rows that these stand for, without the rest that a sum of shares leaves."""
    return round(float(facts["weight"].sum()), 6)


def _is_older() -> pl.Expr:
    return pl.col("served_at") < pl.col("offline_at") - pl.duration(milliseconds=1)  # ages are rounded


def _common(fits: pl.Series) -> bool:
    return int(fits.sum()) >= max(FEWEST_FITTING, FITTING_SHARE * len(fits))


def _where(facts: pl.DataFrame, condition: pl.Expr) -> pl.Series:
    return facts.select(fits=condition.fill_null(value=False))["fits"]


def _at(facts: pl.DataFrame, rows: pl.Series) -> pl.Series:
    return facts.select(fits=pl.int_range(pl.len(), dtype=pl.UInt32).is_in(rows.implode()))["fits"]


def _none(facts: pl.DataFrame) -> pl.Series:
    return pl.Series("fits", [False], dtype=pl.Boolean).new_from_index(0, facts.height)
