"""Views of instants, from which a reader counts what lies in its own window: an origin's board, New York's last hour.

A row stands for every event, and holds all that a later reader may count until the next one: so it is exact whenever it is
read, and nothing has to be written as time passes.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from orchestration.features.timelines import Due, Movement, Timeline, Values
from orchestration.features.views import GLOBAL_KEY, LATE_MIN, LEAD

# A flight is overdue at t when it was scheduled in (t - 180 min, t - 15 min] and has not left by t.
BOARD_FROM, BOARD_TO = timedelta(minutes=180), timedelta(minutes=LATE_MIN)
LAST_HOUR = timedelta(minutes=60)
_NEVER = 1 << 62
_LIST = pl.List(pl.Float64)
_NO_BOARD = pl.DataFrame(
    schema={"event_timestamp": pl.Datetime("us", "UTC"), "origin": pl.String, "sched_at": _LIST, "open_at": _LIST}
)

Micros = NDArray[np.int64]  # since the epoch
Positions = NDArray[np.int64]


def origin_board(flights: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """The boards of the origins after each event of [start, end): a schedule becomes known (LEAD before it), a departure.

    Returns:
        event_timestamp, origin, and List(Float64) of UNIX seconds, ascending: `sched_at`, the schedules known by
        event_timestamp and later than 180 minutes before it; `open_at`, those of them that have not departed by then.
    """
    origins = sorted(flights.partition_by("origin", as_dict=True).items())
    boards = [_board_of(str(origin), group, start, end) for (origin,), group in origins]
    return pl.concat([_NO_BOARD, *boards]).sort("event_timestamp", "origin")


def last_origin_board(entries: Timeline[Due]) -> Values:
    """The features of the last row that `origin_board` has of one origin."""
    at, lead = entries[-1].at, _us(LEAD)
    told = [due for due in entries.since(at - _us(BOARD_FROM) - lead) if due.at == due.sched - lead]
    there = [due for due in told if due.dep is None or due.dep > at]
    return [due.sched / 1e6 for due in told], [due.sched / 1e6 for due in there]


def nyc_departures(departed: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    """The departures of the last hour after each departure in [start, end).

    Returns:
        event_timestamp, GLOBAL_KEY, and List(Float64) of UNIX seconds, ascending: `dep_at`, departures in
        (event_timestamp - 60 min, event_timestamp]; `late_dep_at`, those more than 15 minutes late.
    """
    ordered = departed.sort("event_timestamp", maintain_order=True)
    dep, late = _micros(ordered["event_timestamp"]), (ordered["delay"] > LATE_MIN).to_numpy()
    at, seconds = _within(dep, start, end), dep / 1e6
    index, row, lengths = _slices(dep, at - _us(LAST_HOUR), at)
    return pl.DataFrame(
        {
            "event_timestamp": _instants(at),
            GLOBAL_KEY: pl.repeat("", len(at), eager=True),
            "dep_at": _lists(seconds[index], lengths),
            "late_dep_at": _lists_where(late[index], seconds[index], row, len(at)),
        }
    )


def last_nyc_departures(departed: Timeline[Movement]) -> Values:
    """The features of the last row of `nyc_departures`."""
    within = departed.since(departed[-1].at - _us(LAST_HOUR))
    late = [movement for movement in within if movement.delay > LATE_MIN]
    return [movement.at / 1e6 for movement in within], [movement.at / 1e6 for movement in late]


def _board_of(origin: str, flights: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    ordered = flights.sort("sched_dep", maintain_order=True)
    sched = _micros(ordered["sched_dep"])
    dep = ordered["dep"].to_physical().fill_null(_NEVER).to_numpy()
    at = _within(np.concatenate([sched - _us(LEAD), dep]), start, end)
    index, row, lengths = _slices(sched, at - _us(BOARD_FROM), at + _us(LEAD))
    still_there, due = dep[index] > at[row], (sched / 1e6)[index]
    return pl.DataFrame(
        {
            "event_timestamp": _instants(at),
            "origin": pl.repeat(origin, len(at), eager=True),
            "sched_at": _lists(due, lengths),
            "open_at": _lists_where(still_there, due, row, len(at)),
        }
    )


def _within(instants: Micros, start: datetime, end: datetime) -> Micros:
    """The distinct ones in [start, end), ascending."""
    first, last = _micros(pl.Series([start, end]).dt.cast_time_unit("us"))
    return np.unique(instants[(instants >= first) & (instants < last)])


def _slices(ordered: Micros, after: Micros, upto: Micros) -> tuple[Positions, Positions, Positions]:
    """What lies in each of the windows (after, upto]: positions, all in a row; the window of each; how many each has."""
    first, last = (np.searchsorted(ordered, bound, side="right") for bound in (after, upto))
    lengths = last - first
    row = np.repeat(np.arange(len(lengths)), lengths)
    begins = np.cumsum(lengths) - lengths
    return np.arange(len(row)) + (first - begins)[row], row, lengths


def _lists(flat: NDArray[np.float64], lengths: Positions) -> pl.Series:
    """`flat` as lists of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pl.Series(pa.LargeListArray.from_arrays(offsets, flat), dtype=_LIST)


def _lists_where(kept: NDArray[np.bool_], flat: NDArray[np.float64], row: Positions, rows: int) -> pl.Series:
    """What is kept of `flat`, as the lists of the rows that it belongs to."""
    return _lists(flat[kept], np.bincount(row[kept], minlength=rows))


def _us(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _micros(instants: pl.Series) -> Micros:
    return instants.to_physical().to_numpy()


def _instants(micros: Micros) -> pl.Series:
    return pl.Series(micros).cast(pl.Datetime("us", "UTC"))
