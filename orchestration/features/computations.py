"""How each view's rows follow from flights and weather: one table, for batch and for the live updater."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import polars as pl

from orchestration.features.boards import nyc_departures, origin_board
from orchestration.features.decay import HISTORY_DAYS, decayed_means, last_decayed_means
from orchestration.features.observations import origin_weather, tail_movements

# Tidy flights, tidy weather, or the departures and arrivals of events.py.
Source = Literal["flights", "weather", "departures", "arrivals"]
# Source, and the half-open range of instants that must have their rows (a view may give others too), to rows.
Rows = Callable[[pl.DataFrame, datetime, datetime], pl.DataFrame]


@dataclass(frozen=True)
class Computation:
    """A view's computation.

    Attributes:
        source: what its rows are made of.
        rows: the function.
        reach: what a row of a key is made of lies less than this before its event_timestamp.
        last: gives the last row of each key as `rows` does, in less time.
    """

    source: Source
    rows: Rows
    reach: timedelta
    last: Rows | None = None


def _decayed(source: Source, *keys: str, half_life_h: float, prefix: str) -> Computation:
    def rows(events: pl.DataFrame, _start: datetime, _end: datetime) -> pl.DataFrame:
        return decayed_means(events, keys, half_life_h=half_life_h, prefix=prefix)

    def last(events: pl.DataFrame, _start: datetime, _end: datetime) -> pl.DataFrame:
        return last_decayed_means(events, keys, half_life_h=half_life_h, prefix=prefix)

    return Computation(source, rows, timedelta(days=HISTORY_DAYS + 1), last)


def _tail(source: Source, *, delay: str, instant: str) -> Computation:
    def rows(events: pl.DataFrame, _start: datetime, _end: datetime) -> pl.DataFrame:
        return tail_movements(events, delay=delay, instant=instant)

    return Computation(source, rows, timedelta(microseconds=1))


COMPUTATIONS: dict[str, Computation] = {
    "origin_weather": Computation("weather", lambda weather, _start, _end: origin_weather(weather), timedelta(hours=4)),
    "origin_departures": _decayed("departures", "origin", half_life_h=1, prefix="e_org_dep_ewm1h"),
    "carrier_origin_departures": _decayed("departures", "carrier", "origin", half_life_h=2, prefix="e_co_dep_ewm2h"),
    "carrier_arrivals": _decayed("arrivals", "carrier", half_life_h=2, prefix="e_car_arr_ewm2h"),
    "dest_arrivals": _decayed("arrivals", "dest", half_life_h=3, prefix="e_dest_arr_ewm3h"),
    "tail_arrivals": _tail("arrivals", delay="r_tail_last_arr_delay", instant="last_arr_at"),
    "tail_departures": _tail("departures", delay="r_tail_last_dep_delay", instant="last_dep_at"),
    "origin_board": Computation("flights", origin_board, timedelta(hours=3)),
    "nyc_departures": Computation("departures", nyc_departures, timedelta(hours=1)),
}
