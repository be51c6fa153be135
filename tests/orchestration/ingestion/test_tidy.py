from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.ingestion.source import read_airports_table, read_weather_table
from orchestration.ingestion.tidy import (
    FLIGHT_COLUMNS,
    FLIGHTS_EVIDENCE,
    WEATHER_COLUMNS,
    WEATHER_EVIDENCE,
    tidy_flights,
    tidy_weather,
    undated,
)
from tests.orchestration.features.lakes import flights_table, tidied_flights


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return flights_table()


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return tidied_flights()


def flight(flights: pl.DataFrame, request_id: str) -> dict[str, object]:
    return flights.row(by_predicate=pl.col("request_id") == request_id, named=True)


def test_every_flight_with_an_aircraft_is_there_once(table: pl.DataFrame, flights: pl.DataFrame) -> None:
    assert table.height == 336_776
    assert flights.height == table.height - 2_512
    assert flights["request_id"].n_unique() == flights.height
    assert flights["cancelled"].sum() == 8_255 - 2_512
    assert flights["arr"].null_count() == 9_430 - 2_512
    assert tuple(flights.columns) == (*FLIGHT_COLUMNS, *FLIGHTS_EVIDENCE)


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


def test_the_partition_is_that_of_the_instant_and_the_clocks_agree(flights: pl.DataFrame) -> None:
    weather = tidy_weather(read_weather_table())
    for frame, instant in ((flights, "sched_dep"), (weather, "time_hour")):
        assert (frame["day"] == frame[instant].dt.date()).all()
        assert frame["clock_off_min"].unique().to_list() == [0]
        assert frame["unreadable"].null_count() == frame.height


def test_an_unknown_destination_has_no_arrival(table: pl.DataFrame) -> None:
    row = tidy_flights(table.head(1).with_columns(dest=pl.lit("XXX")), read_airports_table()).row(0, named=True)
    assert row["sched_arr"] is None
    assert row["block"] is None


def test_a_row_whose_hour_is_unreadable_is_filed_by_its_date(table: pl.DataFrame) -> None:
    late = table.filter(month=6, day=5, hour=22).head(1)  # 22:00 in New York is the next day in UTC
    row = tidy_flights(late.with_columns(time_hour=pl.lit("rubbish")), read_airports_table()).row(0, named=True)
    assert row["day"] == date(2013, 6, 6)
    assert row["sched_dep"] is None


def test_a_row_whose_clocks_name_two_days_is_filed_under_both(table: pl.DataFrame) -> None:
    moved = table.filter(month=6, day=5, hour=12).head(1).with_columns(time_hour=pl.lit("2013-06-07T16:00:00Z"))
    filed = tidy_flights(moved, read_airports_table())
    assert sorted(filed["day"]) == [date(2013, 6, 5), date(2013, 6, 7)]
    assert filed["clock_off_min"].to_list() == [2880, 2880]


def test_a_row_of_no_day_is_left_out_and_kept_apart(table: pl.DataFrame) -> None:
    lost = table.head(1).with_columns(time_hour=pl.lit(None, pl.String), month=pl.lit(13, pl.Int32))
    both = pl.concat([lost, table[1:2]])
    assert tidy_flights(both, read_airports_table()).height == 1
    assert_frame_equal(undated(both), lost)
    assert undated(table).is_empty()


@pytest.mark.parametrize(
    "broken", [{"carrier": "?"}, {"origin": "SFO"}, {"unreadable": "distance=x"}, {"minute": 61}, {"month": 7}]
)
def test_a_row_that_is_broken_on_sight_stands_in_no_others_schedule(
    table: pl.DataFrame, broken: dict[str, object]
) -> None:
    day, first = table.filter(month=6, day=5, origin="JFK"), pl.int_range(pl.len()) < 30
    changed = day.with_columns(
        pl.when(first).then(pl.lit(value)).otherwise(column).cast(day.schema[column]).alias(column)
        for column, value in broken.items()
    )
    without = tidy_flights(day[30:], read_airports_table())
    beside = tidy_flights(changed, read_airports_table()).join(without, on="request_id", how="semi")
    assert_frame_equal(beside.sort("request_id"), without.sort("request_id"))


def test_reports_step_forward_and_a_wrong_clock_is_no_landmark() -> None:
    hours = read_weather_table().filter(origin="JFK").head(6)
    assert tidy_weather(hours)["step_min"].to_list() == [None, 60, 60, 60, 60, 60]
    swapped = hours[[0, 2, 1, 3, 4, 5]]
    assert tidy_weather(swapped)["step_min"].to_list() == [None, -60, 120, 120, 60, 60]
    at = pl.when(pl.int_range(pl.len()) == 2).then(pl.lit("2013-01-09T06:00:00Z")).otherwise("time_hour")
    misdated = tidy_weather(hours.with_columns(time_hour=at))
    assert misdated.filter(clock_off_min=0)["step_min"].to_list() == [None, 60, 120, 60, 60]


def test_a_repeated_row_changes_no_other_flights_load(table: pl.DataFrame, flights: pl.DataFrame) -> None:
    day = table.filter(month=6, day=5)
    repeated = tidy_flights(pl.concat([day, day.head(200)]), read_airports_table()).unique("request_id")
    expected = tidy_flights(day, read_airports_table())
    assert_frame_equal(repeated.sort("request_id"), expected.sort("request_id"))


def test_a_flight_without_aircraft_is_dropped_only_when_cancelled(table: pl.DataFrame) -> None:
    two = pl.concat([table.filter(pl.col("dep_delay").is_null()).head(1), table.head(1)])
    kept = tidy_flights(two.with_columns(tailnum=pl.lit(None, pl.String)), read_airports_table())
    assert kept["cancelled"].to_list() == [False]


def test_the_one_impossible_wind_is_no_report() -> None:
    weather = tidy_weather(read_weather_table())
    assert weather["wind_speed"].max() < 50
    assert weather["wind_speed"].null_count() == read_weather_table()["wind_speed"].null_count() + 1


def test_weather_is_hourly_and_unique() -> None:
    weather = tidy_weather(read_weather_table())
    assert tuple(weather.columns) == (*WEATHER_COLUMNS, *WEATHER_EVIDENCE)
    assert weather.height == 26_115
    assert not weather.select("origin", "time_hour").is_duplicated().any()
    assert weather["time_hour"].min() == datetime(2013, 1, 1, 6, tzinfo=UTC)
