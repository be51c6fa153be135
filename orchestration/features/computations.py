"""How each view's rows follow from flights and weather: one table, for batch and for the live updater."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

import polars as pl

from orchestration.features.boards import last_nyc_departures, last_origin_board, nyc_departures, origin_board
from orchestration.features.decay import decayed_means, last_decayed_means
from orchestration.features.observations import (
    last_origin_weather,
    last_tail_movement,
    origin_weather,
    tail_movements,
)
from orchestration.features.timelines import Timeline, Values

# Tidy flights, tidy weather, or the departures and arrivals of events.py.
Source = Literal["flights", "weather", "departures", "arrivals"]
# Source, and the half-open range of instants that must have their rows (a view may give others too), to rows.
Rows = Callable[[pl.DataFrame, datetime, datetime], pl.DataFrame]
# The entries of one key, of the kind that its source has in timelines.py, to the features of its last row.
Last = Callable[[Timeline[Any]], Values]


@dataclass(frozen=True)
class Computation:
    """A view's computation.

    Attributes:
        source: what its rows are made of.
        rows: the function.
        last: what `rows` gives for the last row of one key, to the last bit.
    """

    source: Source
    rows: Rows
    last: Last


def _decayed(source: Source, *keys: str, half_life_h: float, prefix: str) -> Computation:
    def rows(events: pl.DataFrame, _start: datetime, _end: datetime) -> pl.DataFrame:
        return decayed_means(events, keys, half_life_h=half_life_h, prefix=prefix)

    return Computation(source, rows, partial(last_decayed_means, half_life_h=half_life_h))


def _tail(source: Source, *, delay: str, instant: str) -> Computation:
    def rows(events: pl.DataFrame, _start: datetime, _end: datetime) -> pl.DataFrame:
        return tail_movements(events, delay=delay, instant=instant)

    return Computation(source, rows, last_tail_movement)


COMPUTATIONS: dict[str, Computation] = {
    "origin_weather": Computation(
        "weather", lambda weather, _start, _end: origin_weather(weather), last_origin_weather
    ),
    "origin_departures": _decayed("departures", "origin", half_life_h=1, prefix="e_org_dep_ewm1h"),
    "carrier_origin_departures": _decayed("departures", "carrier", "origin", half_life_h=2, prefix="e_co_dep_ewm2h"),
    "carrier_arrivals": _decayed("arrivals", "carrier", half_life_h=2, prefix="e_car_arr_ewm2h"),
    "dest_arrivals": _decayed("arrivals", "dest", half_life_h=3, prefix="e_dest_arr_ewm3h"),
    "tail_arrivals": _tail("arrivals", delay="r_tail_last_arr_delay", instant="last_arr_at"),
    "tail_departures": _tail("departures", delay="r_tail_last_dep_delay", instant="last_dep_at"),
    "origin_board": Computation("flights", origin_board, last_origin_board),
    "nyc_departures": Computation("departures", nyc_departures, last_nyc_departures),
}
