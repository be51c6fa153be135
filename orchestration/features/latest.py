"""The last row of keys at a watermark, over the functions that compute the views in batch, on no more than they read."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

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
        keys: view name to the keys that are asked for, in the view's join keys, each once, none of
            them null; ignored for a view without.

    Returns:
        View name to frame in the view's columns, a row a key. A key without row is left out, and so is a view without.
    """
    found = {}
    for name, wanted in keys.items():
        view, computation = BY_NAME[name], COMPUTATIONS[name]
        source = weather if computation.source == "weather" else flights
        of_source = _board_rows if computation.source == "flights" else _event_rows
        rows = of_source(source, _Asked(view, wanted), computation, watermark)
        if rows is not None:
            found[name] = rows.select(view.columns)
    return found


class _Asked(NamedTuple):
    """The keys that are asked for of a view. One alone, the usual case, needs no joins and groups."""

    view: View
    keys: pl.DataFrame

    @property
    def one(self) -> bool:
        return not self.view.join_keys or self.keys.height == 1

    def of(self, source: pl.DataFrame) -> pl.DataFrame:
        """The source's rows of these keys."""
        if not self.view.join_keys:
            return source
        if self.one:
            return source.filter(_is(self.view, self.keys.row(0)))
        return source.join(self.keys, on=self.view.join_keys, how="semi")

    def earliest_last(self, known: pl.DataFrame, at: pl.Expr) -> datetime:
        """The earliest of the keys' last instants."""
        last = (
            known.select(at.max())
            if self.one
            else known.group_by(self.view.join_keys).agg(last=at.max()).select("last")
        )
        earliest = last.to_series().min()
        assert isinstance(earliest, datetime)
        return earliest

    def last(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The last row of each key; rows are in the order of their time."""
        return rows.tail(1) if self.one else rows.unique(self.view.join_keys, keep="last", maintain_order=True)


def _event_rows(
    source: pl.DataFrame, asked: _Asked, computation: Computation, watermark: datetime
) -> pl.DataFrame | None:
    """Rows of observations and movements."""
    at = _INSTANT[computation.source]
    known = asked.of(source).filter(at <= watermark)
    if known.is_empty():
        return None
    last = asked.earliest_last(known, at)
    events = _EVENTS[computation.source](known.filter(at > last - computation.reach))
    return asked.last((computation.last or computation.rows)(events, last, watermark + _TICK))


def _board_rows(
    flights: pl.DataFrame, asked: _Asked, computation: Computation, watermark: datetime
) -> pl.DataFrame | None:
    """Rows of boards. One changes when a schedule becomes known, LEAD before it, and when a flight leaves."""
    known = (pl.col("sched_dep") - LEAD, pl.col("dep"))
    last = pl.max_horizontal(at.filter(at <= watermark).max() for at in known)
    boards = []
    for key in asked.keys.iter_rows():
        of_key = flights.filter(_is(asked.view, key))
        at = of_key.select(last).item() if of_key.height else None
        if at is not None:
            # The flight that left last may have been scheduled before: it is on no board, but makes one.
            reach = (pl.col("sched_dep") > at - computation.reach) | (pl.col("dep") == at)
            boards.append(computation.rows(of_key.filter(reach), at, at + _TICK))
    return pl.concat(boards) if boards else None


def _is(view: View, key: tuple[str, ...]) -> list[pl.Expr]:
    return [pl.col(name) == value for name, value in zip(view.join_keys, key, strict=True)]
