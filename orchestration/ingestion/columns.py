"""The columns of the raw partitions: type and meaning. Checks, storage and the Dagster UI all read them here."""

from typing import NamedTuple

import polars as pl


class Column(NamedTuple):
    """A column's dtype and what it says."""

    dtype: pl.DataType
    meaning: str


_INSTANT = pl.Datetime("us", "UTC")

FLIGHTS: dict[str, Column] = {
    "request_id": Column(pl.String(), "carrier-flight-YYYYmmddTHHMM of sched_dep; unique"),
    "sched_dep": Column(_INSTANT, "scheduled departure from the gate; its UTC day is the partition"),
    "dep": Column(_INSTANT, "departure from the gate; null when cancelled"),
    "sched_arr": Column(_INSTANT, "scheduled arrival at the gate"),
    "arr": Column(_INSTANT, "arrival at the gate; null when cancelled or not recorded"),
    "cancelled": Column(pl.Boolean(), "never left the gate"),
    "dep_delay": Column(pl.Int32(), "minutes, negative when early; null when cancelled"),
    "arr_delay": Column(pl.Int32(), "minutes, negative when early; null when cancelled or not recorded"),
    "carrier": Column(pl.String(), "two-letter code of the airline"),
    "flight": Column(pl.Int32(), "flight number"),
    "tailnum": Column(pl.String(), "the aircraft; flights without one were cancelled and are left out"),
    "origin": Column(pl.String(), "EWR, JFK or LGA"),
    "dest": Column(pl.String(), "airport of arrival"),
    "distance": Column(pl.Int32(), "miles"),
    "dow": Column(pl.Int32(), "local day of week of sched_dep, Monday 1"),
    "dep_min": Column(pl.Int32(), "local minute of the day of sched_dep"),
    "block": Column(pl.Int32(), "scheduled minutes from gate to gate"),
    "sched_load": Column(
        pl.Int32(), "flights scheduled from the same origin within 30 minutes of sched_dep, itself too"
    ),
}
WEATHER: dict[str, Column] = {
    "origin": Column(pl.String(), "EWR, JFK or LGA"),
    "time_hour": Column(_INSTANT, "the hour observed, known an hour later; its UTC day is the partition"),
    "temp": Column(pl.Float64(), "temperature, degrees Fahrenheit"),
    "dewp": Column(pl.Float64(), "dew point, degrees Fahrenheit"),
    "humid": Column(pl.Float64(), "relative humidity, percent"),
    "wind_dir": Column(pl.Float64(), "degrees"),
    "wind_speed": Column(pl.Float64(), "miles an hour"),
    "wind_gust": Column(pl.Float64(), "miles an hour; null in calm air"),
    "precip": Column(pl.Float64(), "inches in the hour"),
    "pressure": Column(pl.Float64(), "millibars at sea level; often null"),
    "visib": Column(pl.Float64(), "visibility, miles"),
}
# What the checks look at and what is not stored.
EVIDENCE: dict[str, Column] = {
    "day": Column(pl.Date(), "the partition that the row is filed under; two rows where its clocks name two"),
    "unreadable": Column(pl.String(), "values of the source that could not be read; null on good rows"),
    "clock_off_min": Column(pl.Int64(), "minutes from the row's own date and hour to time_hour on New York's clock"),
}
FLIGHTS_EVIDENCE: dict[str, Column] = EVIDENCE | {
    "minute": Column(pl.Int32(), "minute of the hour of sched_dep; another one would move the flight to another day"),
}
WEATHER_EVIDENCE: dict[str, Column] = EVIDENCE | {
    "step_min": Column(pl.Int64(), "minutes since the airport's report before it in the source; null on the first"),
}
