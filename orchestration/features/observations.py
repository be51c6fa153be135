"""Views whose rows are single observations: weather reports, the last movement of an aircraft."""

from datetime import timedelta

import polars as pl

# The report of an hour is known when the hour is over.
REPORT_DELAY = timedelta(minutes=60)
_TREND = timedelta(hours=3)
# Whole numbers, as rain gauges count: a running sum of floats would keep a rest of what has left the window.
_PRECIP_IN_HUNDREDTHS = (pl.col("precip") * 100).round().cast(pl.Int64)


def origin_weather(weather: pl.DataFrame) -> pl.DataFrame:
    """Weather by origin, known an hour after `time_hour`.

    Returns:
        event_timestamp, origin, and Float32: w_precip3 (inches in the last three reported hours), w_visib (miles),
        w_wind_speed (mph), w_dpress (millibars gained in three hours; null when either reading is missing).
    """
    ordered = weather.sort("origin", "time_hour")
    earlier = ordered.select("origin", pl.col("time_hour") + _TREND, pressure_before="pressure")
    return (
        ordered.with_columns(
            w_precip3=_PRECIP_IN_HUNDREDTHS.rolling_sum_by("time_hour", window_size="3h").over("origin") / 100
        )
        .join(earlier, on=["origin", "time_hour"], how="left")
        .select(
            "origin",
            event_timestamp=pl.col("time_hour") + REPORT_DELAY,
            w_precip3=pl.col("w_precip3").cast(pl.Float32),
            w_visib=pl.col("visib").cast(pl.Float32),
            w_wind_speed=pl.col("wind_speed").cast(pl.Float32),
            w_dpress=(pl.col("pressure") - pl.col("pressure_before")).cast(pl.Float32),
        )
        .sort("event_timestamp", "origin")
    )


def tail_movements(events: pl.DataFrame, *, delay: str, instant: str) -> pl.DataFrame:
    """The last movement of each aircraft: its delay and when it was, named as given.

    Of two movements of one aircraft at the same instant the last by request_id stands.

    Returns:
        event_timestamp, tailnum, `delay` Float32 in minutes, `instant` Int64 in UNIX seconds.
    """
    return (
        events.select(
            "event_timestamp",
            "tailnum",
            pl.col("delay").cast(pl.Float32).alias(delay),
            pl.col("event_timestamp").dt.epoch("s").cast(pl.Int64).alias(instant),
        )
        .unique(["event_timestamp", "tailnum"], keep="last", maintain_order=True)
        .sort("event_timestamp", "tailnum")
    )
