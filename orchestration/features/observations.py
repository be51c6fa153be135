"""Views whose rows are single observations: weather reports, the last movement of an aircraft."""

from datetime import timedelta

import polars as pl

from orchestration.features.timelines import Movement, Report, Timeline, Values, float32

# The report of an hour is known when the hour is over.
REPORT_DELAY = timedelta(minutes=60)
_TREND = timedelta(hours=3)
_TREND_US = _TREND // timedelta(microseconds=1)
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
            w_precip3=_PRECIP_IN_HUNDREDTHS.rolling_sum_by("time_hour", window_size="3h").over("origin") * 0.01
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


def last_origin_weather(reports: Timeline[Report]) -> Values:
    """The features of the last row that `origin_weather` has of one origin."""
    last = reports[-1]
    precip = sum(round(report.precip * 100) for report in reports.since(last.at - _TREND_US)) * 0.01
    before = next((r.pressure for r in reports.since(last.at - _TREND_US - 1) if r.at == last.at - _TREND_US), None)
    return (
        float32(precip),
        float32(last.visib),
        None if last.wind_speed is None else float32(last.wind_speed),
        None if last.pressure is None or before is None else float32(last.pressure - before),
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


def last_tail_movement(movements: Timeline[Movement]) -> Values:
    """The features of the last row that `tail_movements` has of one aircraft."""
    last = movements[-1]
    return float32(last.delay), last.at // 1_000_000
