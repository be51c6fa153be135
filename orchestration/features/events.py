"""Departures and arrivals: what is known of a flight, and when."""

import polars as pl

_EVENT = ["request_id", "carrier", "origin", "dest", "tailnum"]


def departures(flights: pl.DataFrame) -> pl.DataFrame:
    """One row a departure: event_timestamp = gate departure, `delay` Float64 in minutes, the flight's keys.

    Sorted by (event_timestamp, request_id), so that sums over simultaneous events have one order.
    """
    return _events(flights, at="dep", delay="dep_delay")


def arrivals(flights: pl.DataFrame) -> pl.DataFrame:
    """One row a recorded arrival, in the columns and order of `departures`."""
    return _events(flights, at="arr", delay="arr_delay")


def _events(flights: pl.DataFrame, *, at: str, delay: str) -> pl.DataFrame:
    return (
        flights.filter(pl.col(at).is_not_null())
        .select(*_EVENT, event_timestamp=pl.col(at), delay=pl.col(delay).cast(pl.Float64))
        .sort("event_timestamp", "request_id")
    )
