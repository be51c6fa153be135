"""Faults of the data, put into the views that the gateway reads from a moment on, or into the vectors that it makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.backtest.served import Views

Vectors = NDArray[np.float32]

DELAYS: Mapping[str, tuple[str, ...]] = {
    "origin_departures": ("e_org_dep_ewm1h_mean",),
    "carrier_origin_departures": ("e_co_dep_ewm2h_mean",),
    "carrier_arrivals": ("e_car_arr_ewm2h_mean",),
    "dest_arrivals": ("e_dest_arr_ewm3h_mean",),
    "tail_arrivals": ("r_tail_last_arr_delay",),
    "tail_departures": ("r_tail_last_dep_delay",),
}
# What the features' computation clips delays to, in minutes.
SHORTEST_DELAY, LONGEST_DELAY = -15, 180
INSTANTS: Mapping[str, tuple[str, ...]] = {"tail_arrivals": ("last_arr_at",), "tail_departures": ("last_dep_at",)}
BOARDS: Mapping[str, tuple[str, ...]] = {
    "origin_board": ("sched_at", "open_at"),
    "nyc_departures": ("dep_at", "late_dep_at"),
}
NEW_YORK_BEHIND = timedelta(hours=4)
BURST_VIEWS = ("carrier_arrivals", "dest_arrivals", "origin_departures")
BURST_SHARE = 0.5
STUCK_AT = "EWR"
SWAPPED = ("e_co_dep_ewm2h_mean", "e_co_dep_ewm2h_late")


@dataclass(frozen=True)
class DataFault:
    """`in_views` changes what is stored from a moment on, `in_vectors` what is made of it; None where it changes nothing.

    `labels_late` is by how much later than usual the truth comes.
    """

    name: str
    what: str
    in_views: Callable[[Views, datetime, np.random.Generator], dict[str, pl.DataFrame]] | None = None
    in_vectors: Callable[[Vectors, list[str]], Vectors] | None = None
    labels_late: timedelta = timedelta(0)


def wrong_units(views: Views, since: datetime, _: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Delays come in seconds where minutes are due, and are clipped as minutes are."""
    faulty = dict(views)
    for view, names in DELAYS.items():
        seconds = ((pl.col(name) * 60).clip(SHORTEST_DELAY, LONGEST_DELAY) for name in names)
        faulty[view] = _since(views[view], since, *seconds)
    return faulty


def time_zone_shift(views: Views, since: datetime, _: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Instants of departures and arrivals are New York's local time, read as UTC: four hours early."""
    behind = NEW_YORK_BEHIND.total_seconds()
    faulty = dict(views)
    for view, names in INSTANTS.items():
        faulty[view] = _since(views[view], since, *((pl.col(name) - int(behind)) for name in names))
    for view, names in BOARDS.items():
        faulty[view] = _since(views[view], since, *(pl.col(name).list.eval(pl.element() - behind) for name in names))
    return faulty


def frozen_features(views: Views, since: datetime, _: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Nothing is materialized any more."""
    return {name: frame.filter(pl.col("event_timestamp") < since) for name, frame in views.items()}


def null_burst(views: Views, since: datetime, random: np.random.Generator) -> dict[str, pl.DataFrame]:
    """Half of the rows that are written for some views hold nulls."""
    faulty = dict(views)
    for view in BURST_VIEWS:
        lost = pl.Series(random.random(views[view].height) < BURST_SHARE)
        names = [name for name in views[view].columns if name.startswith("e_")]
        faulty[view] = _since(views[view], since, *(pl.when(~lost).then(pl.col(name)).alias(name) for name in names))
    return faulty


def stuck_sensor(views: Views, since: datetime, _: np.random.Generator) -> dict[str, pl.DataFrame]:
    """One airport's weather station repeats its last report, hour after hour."""
    weather = views["origin_weather"]
    last = weather.filter((pl.col("origin") == STUCK_AT) & (pl.col("event_timestamp") < since)).tail(1)
    stuck = (pl.col("origin") == STUCK_AT) & (pl.col("event_timestamp") >= since)
    names = [name for name in weather.columns if name.startswith("w_")]
    repeated = (
        pl.when(stuck).then(pl.lit(last[name][0], weather.schema[name])).otherwise(pl.col(name)).alias(name)
        for name in names
    )
    return {**views, "origin_weather": weather.with_columns(repeated)}


def swapped_columns(vectors: Vectors, names: list[str]) -> Vectors:
    """A mean delay and a share of late flights change places."""
    one, other = (names.index(name) for name in SWAPPED)
    faulty = vectors.copy()
    faulty[:, [one, other]] = vectors[:, [other, one]]
    return faulty


DATA_FAULTS = (
    DataFault("wrong units", "delays in seconds where minutes are due", in_views=wrong_units),
    DataFault("time-zone shift", "instants of flights four hours early", in_views=time_zone_shift),
    DataFault("frozen features", "no view is written any more", in_views=frozen_features),
    DataFault("null burst", "half of the rows of three views are null", in_views=null_burst),
    DataFault("stuck sensor", "Newark's weather repeats its last report", in_views=stuck_sensor),
    DataFault("swapped columns", "a mean delay and a share change places", in_vectors=swapped_columns),
    DataFault("label delay", "outcomes come three days late", labels_late=timedelta(days=3)),
)


def _since(frame: pl.DataFrame, moment: datetime, *changed: pl.Expr) -> pl.DataFrame:
    """`frame` with the `changed` columns in the rows written at or after `moment`."""
    after = pl.col("event_timestamp") >= moment
    return frame.with_columns(
        pl.when(after).then(c).otherwise(pl.col(name)).cast(frame.schema[name]).alias(name)
        for c in changed
        for name in [c.meta.output_name()]
    )
