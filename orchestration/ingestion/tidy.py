"""From the published tables to tidy frames: instants in UTC, local-time request fields, outcomes.

The columns stand in `columns`. A frame of flights has one row a scheduled flight with a known aircraft.

Both tidy frames also carry what the checks look at and what is not stored, their evidence. A broken row is filed like
any other: to refuse its day is up to the checks. One whose two clocks name two days is filed under both, for it may be
missing from either. Rows that name no day are left out (`undated` has them).
"""

import polars as pl

from orchestration.ingestion import columns
from orchestration.ingestion.expectations.flights import CARRIER, ORIGINS

# These destinations lack an airports row.
_PUERTO_RICO = dict.fromkeys(("BQN", "SJU", "STT", "PSE"), "America/Puerto_Rico")
_LOCAL = "America/New_York"
_DAY_MIN = 24 * 60
# The one impossible reading of the published weather, 1048 mph: it is no report.
_WRONG_WIND = (pl.col("origin") == "EWR") & (pl.col("time_hour") == pl.lit("2013-02-12T08:00:00Z"))
_SCHEDULE = ("origin", "carrier", "flight", "sched_dep")
_LOAD_WINDOW = "30m"
_SOUND = (
    pl.col("unreadable").is_null()
    & (pl.col("clock_off_min") == 0)
    & pl.col("minute").is_between(0, 59)
    & pl.col("origin").is_in(ORIGINS)
    & pl.col("carrier").str.contains(CARRIER)
)

FLIGHT_COLUMNS, WEATHER_COLUMNS = tuple(columns.FLIGHTS), tuple(columns.WEATHER)
FLIGHTS_EVIDENCE, WEATHER_EVIDENCE = tuple(columns.FLIGHTS_EVIDENCE), tuple(columns.WEATHER_EVIDENCE)


def tidy_flights(table: pl.DataFrame, airports: pl.DataFrame) -> pl.DataFrame:
    """Flights in FLIGHT_COLUMNS and FLIGHTS_EVIDENCE, sorted by `sched_dep` and `request_id`.

    Cancelled flights without a tail number are dropped: it is missing on no others, so it would give the label away.
    They count in `sched_load` all the same, for they stood in the schedule. `sched_arr` is null where the time zone of
    the destination is not known.
    """
    flights = _filed(table).with_columns(
        sched_dep=_utc("time_hour") + pl.duration(minutes="minute"),
    )
    flights = _with_sched_load(_with_sched_arr(flights, zones(airports)))
    local = pl.col("sched_dep").dt.convert_time_zone(_LOCAL)
    return (
        flights.filter(pl.col("tailnum").is_not_null() | pl.col("dep_delay").is_not_null())
        .with_columns(
            request_id=pl.format("{}-{}-{}", "carrier", "flight", pl.col("sched_dep").dt.strftime("%Y%m%dT%H%M")),
            dep=pl.col("sched_dep") + pl.duration(minutes="dep_delay"),
            arr=pl.col("sched_arr") + pl.duration(minutes="arr_delay"),
            cancelled=pl.col("dep_delay").is_null(),
            dow=local.dt.weekday().cast(pl.Int32),
            dep_min=_minute_of_day(local),
            block=(pl.col("sched_arr") - pl.col("sched_dep")).dt.total_minutes().cast(pl.Int32),
        )
        .select(*FLIGHT_COLUMNS, *FLIGHTS_EVIDENCE)
        .sort("sched_dep", "request_id")
    )


def tidy_weather(table: pl.DataFrame) -> pl.DataFrame:
    """Hourly observations in WEATHER_COLUMNS and WEATHER_EVIDENCE, sorted by `time_hour` and `origin`.

    `time_hour` Datetime("us", "UTC") is the hour observed, known an hour later; the rest is Float64 in US units.
    """
    return (
        _filed(_with_steps(table))
        .with_columns(wind_speed=pl.when(~_WRONG_WIND).then("wind_speed"), time_hour=_utc("time_hour"))
        .select(*WEATHER_COLUMNS, *WEATHER_EVIDENCE)
        .sort("time_hour", "origin")
    )


def zones(airports: pl.DataFrame) -> dict[str, str]:
    """Time zone by airport, of those that have one."""
    known = airports.filter(pl.col("tzone").is_not_null())
    return dict(known.select("faa", "tzone").iter_rows()) | _PUERTO_RICO


def undated(table: pl.DataFrame) -> pl.DataFrame:
    """The rows of a source table that belong to no day: neither date and hour nor `time_hour` can be read."""
    return table.filter(_days().list.len() == 0)


def _filed(table: pl.DataFrame) -> pl.DataFrame:
    """The table with `day` and `clock_off_min`; a row stands under each day that it names."""
    filed = table.with_columns(__days=_days(), clock_off_min=_clock_off_min())
    return filed.filter(pl.col("__days").list.len() > 0).with_columns(day="__days").drop("__days").explode("day")


def _days() -> pl.Expr:
    """The UTC days that a row names: by its own date and hour, and by `time_hour`."""
    own = _clock().dt.replace_time_zone(_LOCAL, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
    return pl.concat_list(own.dt.date(), _utc("time_hour").dt.date()).list.drop_nulls().list.unique()


def _clock_off_min() -> pl.Expr:
    shown = _utc("time_hour").dt.convert_time_zone(_LOCAL).dt.replace_time_zone(None)
    return (shown - _clock()).dt.total_minutes()


def _clock() -> pl.Expr:
    """A row's own date and hour, as New York's clock shows them."""
    date = pl.format("{}-{}-{}", "year", "month", "day").str.to_date("%Y-%m-%d", strict=False)
    return date.cast(pl.Datetime("us")) + pl.duration(hours="hour")


def _with_steps(weather: pl.DataFrame) -> pl.DataFrame:
    """With `step_min`. A report whose clocks disagree is no landmark: it would throw doubt on the next day's first."""
    at = _utc("time_hour")
    before = pl.when(_clock_off_min() == 0).then(at).forward_fill().shift().over("origin")
    return weather.with_columns(step_min=(at - before).dt.total_minutes())


def _with_sched_arr(flights: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    """Scheduled arrival: the first instant after departure at which the destination's clock shows `sched_arr_time`.

    sched_arr = sched_dep + ((hhmm of sched_arr - sched_dep in destination-local minutes) mod 1440).
    """
    by_zone: dict[str, list[str]] = {}
    for dest in flights["dest"].drop_nulls().unique().sort():
        if dest in zones:
            by_zone.setdefault(zones[dest], []).append(dest)
    # A column has one time zone, so each zone is its own expression.
    local = pl.coalesce(
        pl.lit(None, pl.Int32),
        *(
            pl.when(pl.col("dest").is_in(members)).then(_minute_of_day(pl.col("sched_dep").dt.convert_time_zone(zone)))
            for zone, members in by_zone.items()
        ),
    )
    hhmm = pl.col("sched_arr_time")
    block = (hhmm // 100 * 60 + hhmm % 100 - local) % _DAY_MIN
    return flights.with_columns(sched_arr=pl.col("sched_dep") + pl.duration(minutes=block))


def _with_sched_load(flights: pl.DataFrame) -> pl.DataFrame:
    """Each scheduled flight counts once, however often the source repeats it.

    Rows that are broken on sight do not count, so that a refused day does not colour its neighbours; they may have no
    load themselves.
    """
    window = {"period": "60m", "offset": f"-{_LOAD_WINDOW}", "closed": "both", "group_by": "origin"}
    schedule = flights.filter(_SOUND).select(_SCHEDULE).unique().sort("sched_dep")
    load = schedule.rolling("sched_dep", **window).agg(sched_load=pl.len().cast(pl.Int32))  # type: ignore[arg-type]
    return flights.join(load.unique(["origin", "sched_dep"]), on=["origin", "sched_dep"], how="left")


def _utc(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_unit="us", time_zone="UTC", strict=False)


def _minute_of_day(instant: pl.Expr) -> pl.Expr:
    return instant.dt.hour().cast(pl.Int32) * 60 + instant.dt.minute().cast(pl.Int32)
