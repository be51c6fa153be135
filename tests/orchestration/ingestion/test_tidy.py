from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from orchestration.ingestion.source import SourceError, read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return read_flights_table()


@pytest.fixture(scope="module")
def flights(table: pl.DataFrame) -> pl.DataFrame:
    return tidy_flights(table, read_airports_table())


def flight(flights: pl.DataFrame, request_id: str) -> dict[str, object]:
    return flights.row(by_predicate=pl.col("request_id") == request_id, named=True)


def test_every_flight_with_an_aircraft_is_there_once(table: pl.DataFrame, flights: pl.DataFrame) -> None:
    assert table.height == 336_776
    assert flights.height == table.height - 2_512
    assert flights["request_id"].n_unique() == flights.height
    assert flights["cancelled"].sum() == 8_255 - 2_512
    assert flights["arr"].null_count() == 9_430 - 2_512
    assert tuple(flights.columns) == FLIGHT_COLUMNS


def test_a_flight_westward_in_winter(flights: pl.DataFrame) -> None:
    # 05:15 New York to Houston, due 08:19 there, left two minutes late, arrived 11 minutes late
    row = flight(flights, "UA-1545-20130101T1015")
    assert row["sched_dep"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert row["dep"] == datetime(2013, 1, 1, 10, 17, tzinfo=UTC)
    assert row["sched_arr"] == datetime(2013, 1, 1, 14, 19, tzinfo=UTC)
    assert row["arr"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert (row["dow"], row["dep_min"], row["block"]) == (2, 315, 244)


def test_summer_time_and_puerto_rico(flights: pl.DataFrame) -> None:
    # San Juan keeps no summer time and has no airports row: 3 h 45 min or so all the year, never an hour more
    hours = flights.filter(dest="SJU").group_by(month=pl.col("sched_dep").dt.month()).agg(pl.col("block").median())
    assert hours["block"].is_between(210, 250).all()


def test_arrivals_follow_departures_within_a_day(flights: pl.DataFrame) -> None:
    assert flights["block"].is_between(20, 800).all()
    # the published air time fits between the gates we computed
    assert (flights["arr"].drop_nulls() > flights.filter(pl.col("arr").is_not_null())["dep"]).all()


def test_sched_load_counts_the_whole_schedule(table: pl.DataFrame, flights: pl.DataFrame) -> None:
    row = flights.row(123_456, named=True)
    sched_dep = pl.col("time_hour").str.to_datetime(time_zone="UTC") + pl.duration(minutes="minute")
    gap = (sched_dep - pl.lit(row["sched_dep"])).abs()
    near = table.filter(pl.col("origin") == row["origin"], gap <= timedelta(minutes=30))
    assert row["sched_load"] == near.height


def test_an_unknown_destination_is_named(table: pl.DataFrame) -> None:
    with pytest.raises(SourceError, match="XXX"):
        tidy_flights(table.head(1).with_columns(dest=pl.lit("XXX")), read_airports_table())


def test_weather_is_hourly_and_unique() -> None:
    weather = tidy_weather(read_weather_table())
    assert tuple(weather.columns) == WEATHER_COLUMNS
    assert weather.height == 26_115
    assert not weather.select("origin", "time_hour").is_duplicated().any()
    assert weather["time_hour"].min() == datetime(2013, 1, 1, 6, tzinfo=UTC)
