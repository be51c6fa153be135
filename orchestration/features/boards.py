"""What depends on the minute of reading: flights overdue at an origin, the last hour's late share of New York.

Both are counts over a sliding window, taken as differences of sorted instants (binary search), one row a minute.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.views import GLOBAL_KEY, LATE_MIN

# A flight is on the board when scheduled in (t - 180 min, t - 15 min].
BOARD_FROM_MIN, BOARD_TO_MIN = 180, LATE_MIN
_MINUTE_US = 60_000_000

Instants = NDArray[np.int64]


def minutes(start: datetime, end: datetime) -> pl.Series:
    """Every minute of [start, end), Datetime("us", "UTC")."""
    return pl.datetime_range(start, end, timedelta(minutes=1), closed="left", time_unit="us", eager=True)


def origin_board(flights: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Overdue flights by origin and minute of [start, end).

    Returns:
        event_timestamp, origin, r_org_overdue_n Float32 (flights scheduled in (t - 180, t - 15] min without a departure
        up to t), r_org_overdue_share Float32 (of the flights scheduled in that window; null when there are none).
    """
    at = minutes(start, end)
    boards = [
        _board_of(origin, group, at)
        for (origin,), group in sorted(flights.partition_by("origin", as_dict=True).items())
    ]
    return pl.concat(boards).sort("event_timestamp", "origin")


def nyc_departures(departed: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """Share of late (> 15 min) among all departures in (t - 60 min, t], by minute of [start, end).

    Returns:
        event_timestamp, GLOBAL_KEY, r_nyc_dep_1h_late_share Float32 (null without departures).
    """
    at = minutes(start, end)
    t = _micros(at)
    late = departed.filter(pl.col("delay") > LATE_MIN)
    n, n_late = (
        _between(np.sort(_micros(events["event_timestamp"])), t - 60 * _MINUTE_US, t) for events in (departed, late)
    )
    key = pl.repeat("", len(at), eager=True)
    return pl.DataFrame({"event_timestamp": at, GLOBAL_KEY: key, "r_nyc_dep_1h_late_share": _share(n_late, n)})


def _board_of(origin: object, flights: pl.DataFrame, at: pl.Series) -> pl.DataFrame:
    t = _micros(at)
    first, last = t - BOARD_FROM_MIN * _MINUTE_US, t - BOARD_TO_MIN * _MINUTE_US
    scheduled = _between(np.sort(_micros(flights["sched_dep"])), first, last)
    overdue = scheduled - _departed(flights, t)
    return pl.DataFrame(
        {
            "event_timestamp": at,
            "origin": pl.repeat(str(origin), len(at), eager=True),
            "r_org_overdue_n": pl.Series(overdue, dtype=pl.Float32),
            "r_org_overdue_share": _share(overdue, scheduled),
        }
    )


def _departed(flights: pl.DataFrame, t: Instants) -> Instants:
    """At each t: flights scheduled in (t - 180, t - 15] min that have left by t.

    A flight counts from max(sched + 15 min, dep) until sched + 180 min, if it left before that: entries minus exits.
    """
    left = flights.filter(pl.col("dep") < pl.col("sched_dep") + pl.duration(minutes=BOARD_FROM_MIN))
    sched = _micros(left["sched_dep"])
    enter = np.maximum(sched + BOARD_TO_MIN * _MINUTE_US, _micros(left["dep"]))
    leave = sched + BOARD_FROM_MIN * _MINUTE_US
    return np.searchsorted(np.sort(enter), t, side="right") - np.searchsorted(np.sort(leave), t, side="right")


def _between(ordered: Instants, after: Instants, upto: Instants) -> Instants:
    """Number of `ordered` instants in (after, upto]."""
    return np.searchsorted(ordered, upto, side="right") - np.searchsorted(ordered, after, side="right")


def _share(part: Instants, whole: Instants) -> pl.Series:
    counts = pl.DataFrame({"part": part, "whole": whole})
    share = pl.when(pl.col("whole") > 0).then(pl.col("part") / pl.col("whole"))
    return counts.select(share.cast(pl.Float32)).to_series()


def _micros(instants: pl.Series) -> Instants:
    return instants.to_physical().to_numpy()
