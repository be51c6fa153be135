"""The last row of keys at a watermark, over the functions that compute the views in batch, on no more than they read."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import polars as pl

from orchestration.features.computations import COMPUTATIONS, Computation
from orchestration.features.events import arrivals, departures
from orchestration.features.observations import REPORT_DELAY
from orchestration.features.views import BY_NAME, LEAD, View

_TICK = timedelta(microseconds=1)
# When what a source's rows say is known, and what a computation takes of them.
_INSTANT = {"weather": pl.col("time_hour") + REPORT_DELAY, "departures": pl.col("dep"), "arrivals": pl.col("arr")}
_EVENTS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "weather": lambda weather: weather,
    "departures": departures,
    "arrivals": arrivals,
}


def latest_rows(
    flights: pl.DataFrame, weather: pl.DataFrame, watermark: datetime, keys: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """The row that a reader at `watermark` finds of each key: the last one of `compute_views` at or before it.

    Args:
        flights: request_id, carrier, origin, dest, tailnum, sched_dep, dep, dep_delay, arr and arr_delay of tidy
            flights, in any order, as far back as WARM_UP before the day of the oldest row that is asked for.
        weather: origin, time_hour, precip, pressure, visib and wind_speed of tidy weather, likewise.
        watermark: UTC.
        keys: view name to the keys that are asked for, in the view's join keys, each once; ignored for a view without.

    Returns:
        View name to frame in the view's columns, a row a key. A key without row is left out, and so is a view without.
    """
    found = {}
    for name, wanted in keys.items():
        view, computation = BY_NAME[name], COMPUTATIONS[name]
        if computation.source == "flights":
            frames = _board_rows(flights, wanted, view, computation, watermark)
        else:
            of_source = weather if computation.source == "weather" else flights
            chosen = of_source.join(wanted, on=view.join_keys, how="semi") if view.join_keys else of_source
            frames = _event_rows(chosen, view, computation, watermark)
        if frames:
            rows = (
                pl.concat(frames)
                .filter(pl.col("event_timestamp") <= watermark)
                .sort("event_timestamp", maintain_order=True)
            )
            last = rows.unique(view.join_keys, keep="last") if view.join_keys else rows.tail(1)
            found[name] = last.select(view.columns)
    return found


def _event_rows(chosen: pl.DataFrame, view: View, computation: Computation, watermark: datetime) -> list[pl.DataFrame]:
    """Rows of observations and movements: the last one of each key, and perhaps some before it."""
    at = _INSTANT[computation.source]
    last = at.max().over(view.join_keys) if view.join_keys else at.max()
    known = chosen.drop_nulls(view.join_keys).filter(at <= watermark)
    recent = known.filter(last - computation.reach < at)
    if recent.is_empty():
        return []
    events = _EVENTS[computation.source](recent)
    start = watermark if view.join_keys else recent.select(last).item()
    return [(computation.last or computation.rows)(events, start, watermark + _TICK)]


def _board_rows(
    flights: pl.DataFrame, wanted: pl.DataFrame, view: View, computation: Computation, watermark: datetime
) -> list[pl.DataFrame]:
    """The last row of each board. It changes when a schedule becomes known, LEAD before it, and when a flight leaves."""
    known = (pl.col("sched_dep") - LEAD, pl.col("dep"))
    last = pl.max_horizontal(at.filter(at <= watermark).max() for at in known)
    boards = []
    for key in wanted.iter_rows():
        of_key = flights.filter(pl.col(name) == value for name, value in zip(view.join_keys, key, strict=True))
        at = of_key.select(last).item() if of_key.height else None
        if at is not None:
            # The flight that left last may have been scheduled before: it is on no board, but makes one.
            reach = (pl.col("sched_dep") > at - computation.reach) | (pl.col("dep") == at)
            boards.append(computation.rows(of_key.filter(reach), at, at + _TICK))
    return boards
