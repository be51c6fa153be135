"""Feature views out of raw partitions, for a range of days in one pass."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.boards import nyc_departures, origin_board
from orchestration.features.decay import decayed_means
from orchestration.features.events import arrivals, departures
from orchestration.features.observations import origin_weather, tail_movements
from orchestration.features.views import BY_NAME, LEAD, VIEWS, WARM_UP, view_window
from orchestration.ingestion.partitions import read_partitions, write_partitions


def compute_views(flights: pl.DataFrame, weather: pl.DataFrame, start: date, end: date) -> dict[str, pl.DataFrame]:
    """Every view's rows for the feature partitions of the days [start, end) (`view_window` says which instants).

    Args:
        flights: tidy flights of the days [start - WARM_UP, end), as far back as there are any.
        weather: tidy weather of the same days.
        start: first day.
        end: day after the last.

    Returns:
        View name to frame in the view's columns, sorted by event_timestamp and keys.
    """
    first, last = view_window(start, end)
    departed, arrived = departures(flights), arrivals(flights)
    views = {
        "origin_weather": origin_weather(weather),
        "origin_departures": decayed_means(departed, ["origin"], half_life_h=1, prefix="e_org_dep_ewm1h"),
        "carrier_origin_departures": decayed_means(
            departed, ["carrier", "origin"], half_life_h=2, prefix="e_co_dep_ewm2h"
        ),
        "carrier_arrivals": decayed_means(arrived, ["carrier"], half_life_h=2, prefix="e_car_arr_ewm2h"),
        "dest_arrivals": decayed_means(arrived, ["dest"], half_life_h=3, prefix="e_dest_arr_ewm3h"),
        "tail_arrivals": tail_movements(arrived, delay="r_tail_last_arr_delay", instant="last_arr_at"),
        "tail_departures": tail_movements(departed, delay="r_tail_last_dep_delay", instant="last_dep_at"),
        "origin_board": origin_board(flights, first, last),
        "nyc_departures": nyc_departures(departed, first, last),
    }
    in_window = pl.col("event_timestamp").is_between(first, last, closed="left")
    return {name: frame.filter(in_window).select(BY_NAME[name].columns) for name, frame in views.items()}


def write_features(raw: Path, features: Path, start: date, end: date) -> dict[str, int]:
    """Compute the views of the days [start, end) and write `features`/<view>/day=...parquet; returns rows by view.

    Reads `raw`/flights and `raw`/weather: the days of the range, and of the seven before those that are there.
    A partition does not depend on the range that computed it.
    Raises MissingPartitionError naming the raw days that are missing.
    """
    since = start - WARM_UP
    flights = read_partitions(raw / "flights", since, end, optional_before=start)
    weather = read_partitions(raw / "weather", since, end, optional_before=start)
    frames = compute_views(flights, weather, start, end)
    day = (pl.col("event_timestamp") + LEAD).dt.date()
    return {
        view.name: write_partitions(frames[view.name], features / view.name, start, end, day=day, allow_empty=True)
        for view in VIEWS
    }


def read_view(features: Path, view: str, start: date, end: date) -> pl.DataFrame:
    """Stored rows of a view that requests for flights of the days [start, end) may read.

    Goes back from the first request by the view's ttl, over the days that are there. Sorted by event_timestamp.
    """
    back = timedelta(days=-(-BY_NAME[view].ttl_s // 86_400))
    return read_partitions(features / view, start - back, end, optional_before=start)
