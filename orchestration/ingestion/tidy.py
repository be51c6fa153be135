"""From the published tables to tidy frames: instants in UTC, local-time request fields, outcomes.

A frame of flights has one row a scheduled flight with a known aircraft:

| column | dtype | meaning |
|---|---|---|
| request_id | String | carrier-flight-YYYYmmddTHHMM of `sched_dep`; unique |
| sched_dep, dep, sched_arr, arr | Datetime("us", "UTC") | gate instants; `dep` null when cancelled, `arr` null when cancelled or not recorded |
| cancelled | Boolean | never left the gate |
| dep_delay, arr_delay | Int32 | minutes, negative when early |
| carrier, tailnum, origin, dest | String | |
| flight | Int32 | flight number |
| distance | Int32 | miles |
| dow, dep_min | Int32 | local day of week (Monday 1) and local minute of the day of `sched_dep` |
| block | Int32 | scheduled minutes gate to gate |
| sched_load | Int32 | flights scheduled from the same origin within 30 minutes of `sched_dep`, itself included |
"""

import polars as pl

from orchestration.ingestion.source import SourceError

# These destinations lack an airports row.
_PUERTO_RICO = dict.fromkeys(("BQN", "SJU", "STT", "PSE"), "America/Puerto_Rico")
_LOCAL = "America/New_York"
_DAY_MIN = 24 * 60
_LOAD_WINDOW = "30m"

FLIGHT_COLUMNS = (
    "request_id", "sched_dep", "dep", "sched_arr", "arr", "cancelled", "dep_delay", "arr_delay", "carrier", "flight",
    "tailnum", "origin", "dest", "distance", "dow", "dep_min", "block", "sched_load",
)  # fmt: skip
WEATHER_COLUMNS = (
    "origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
)  # fmt: skip


def tidy_flights(table: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Flights in the columns of this module's table, sorted by `sched_dep` and `request_id`.

    Rows without a tail number are dropped: it is missing only on cancelled flights, so it would give the label away.
    They count in `sched_load` all the same, for they stood in the schedule.
    Raises SourceError when the time zone of a destination is not known.
    """
    sched_dep = _utc("time_hour") + pl.duration(minutes="minute")
    flights = table.with_columns(
        sched_dep=sched_dep, dep_delay=pl.col("dep_delay").cast(pl.Int32), arr_delay=pl.col("arr_delay").cast(pl.Int32)
    )
    flights = _with_sched_arr(flights, airports)
    flights = _with_sched_load(flights).filter(pl.col("tailnum").is_not_null())
    local = pl.col("sched_dep").dt.convert_time_zone(_LOCAL)
    return (
        flights.with_columns(
            pl.col("flight", "distance").cast(pl.Int32),
            request_id=pl.format("{}-{}-{}", "carrier", "flight", pl.col("sched_dep").dt.strftime("%Y%m%dT%H%M")),
            dep=pl.col("sched_dep") + pl.duration(minutes="dep_delay"),
            arr=pl.col("sched_arr") + pl.duration(minutes="arr_delay"),
            cancelled=pl.col("dep_delay").is_null(),
            dow=local.dt.weekday().cast(pl.Int32),
            dep_min=_minute_of_day(local),
            block=(pl.col("sched_arr") - pl.col("sched_dep")).dt.total_minutes().cast(pl.Int32),
        )
        .select(FLIGHT_COLUMNS)
        .sort("sched_dep", "request_id")
    )


def tidy_weather(table: pl.DataFrame) -> pl.DataFrame:
    """Hourly observations in WEATHER_COLUMNS, sorted by `time_hour` and `origin`.

    `time_hour` Datetime("us", "UTC") is the hour observed, known an hour later; the rest is Float64 in US units.
    """
    numbers = [name for name in WEATHER_COLUMNS if name not in ("origin", "time_hour")]
    return (
        table.with_columns(pl.col(numbers).cast(pl.Float64), time_hour=_utc("time_hour"))
        .select(WEATHER_COLUMNS)
        .sort("time_hour", "origin")
    )


def _with_sched_arr(flights: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Scheduled arrival: the first instant after departure at which the destination's clock shows `sched_arr_time`.

    sched_arr = sched_dep + ((hhmm of sched_arr - sched_dep in destination-local minutes) mod 1440).
    """
    zones = dict(airports.select("faa", "tzone").iter_rows()) | _PUERTO_RICO
    dests = sorted(flights["dest"].unique())
    unknown = [dest for dest in dests if zones.get(dest) is None]
    if unknown:
        raise SourceError(f"no time zone is known for the destinations {', '.join(unknown)}: add them to the airports")
    by_zone: dict[str, list[str]] = {}
    for dest in dests:
        by_zone.setdefault(zones[dest], []).append(dest)
    # A column has one time zone, so each zone is its own expression.
    local = pl.coalesce(
        pl.when(pl.col("dest").is_in(members)).then(_minute_of_day(pl.col("sched_dep").dt.convert_time_zone(zone)))
        for zone, members in by_zone.items()
    )
    hhmm = pl.col("sched_arr_time")
    block = (hhmm // 100 * 60 + hhmm % 100 - local) % _DAY_MIN
    return flights.with_columns(sched_arr=pl.col("sched_dep") + pl.duration(minutes=block))


def _with_sched_load(flights: pl.DataFrame) -> pl.DataFrame:
    window = {"period": "60m", "offset": f"-{_LOAD_WINDOW}", "closed": "both", "group_by": "origin"}
    schedule = flights.select("origin", "sched_dep").sort("sched_dep")
    load = schedule.rolling("sched_dep", **window).agg(sched_load=pl.len().cast(pl.Int32))  # type: ignore[arg-type]
    return flights.join(load.unique(["origin", "sched_dep"]), on=["origin", "sched_dep"], how="left")


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC")


def _minute_of_day(instant: pl.Expr) -> pl.Expr:
    return instant.dt.hour().cast(pl.Int32) * 60 + instant.dt.minute().cast(pl.Int32)
