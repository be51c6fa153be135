"""The suites, over real days and over one broken in every way that they forbid."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from functools import partial, reduce
from pathlib import Path

import polars as pl
import pytest

from orchestration.ingestion.expectations.airports import airports_suite
from orchestration.ingestion.expectations.check import check_days, check_table
from orchestration.ingestion.expectations.flights import flights_suite
from orchestration.ingestion.ingest import Examined, examine_flights, examine_weather
from orchestration.ingestion.partitions import days
from orchestration.ingestion.source import read_airports_table
from orchestration.ingestion.tidy import zones
from tests.orchestration.ingestion.sources import Change, on, only, repeated, source_folder, without

pytestmark = pytest.mark.integration
Broken = Callable[[date], Change]

DAY = date(2013, 6, 5)
TABLES = ("airports_valid", "flights_source_valid", "weather_source_valid")
# A day each, so that one pass shows that every violation finds its own day: what is broken, and what must be counted.
BROKEN_FLIGHTS: list[tuple[Broken, dict[str, int]]] = [
    (partial(on, rows=3, origin="SFO"), {"origin": 3}),
    (partial(on, rows=3, dest="XXX"), {"dest": 3, "block": 3, "sched_arr": 3}),
    (partial(on, rows=3, carrier="?"), {"carrier": 3}),
    (partial(on, rows=3, carrier=None), {"carrier": 3, "request_id": 3}),
    (partial(on, rows=3, tailnum=""), {"tailnum": 3}),
    (partial(on, rows=3, flight="0"), {"flight": 3}),
    (partial(on, rows=3, distance="-1"), {"distance": 3}),
    (partial(on, rows=3, dep_delay="-60"), {"dep_delay": 3}),
    (partial(on, rows=3, dep_delay="abc"), {"unreadable": 3, "arr": 3}),
    (partial(on, rows=3, dep_delay="2881"), {"dep_delay": 3, "arr, dep": 3}),
    (partial(on, rows=3, arr_delay="-181"), {"arr_delay": 3}),
    (partial(on, rows=3, sched_arr_time=None), {"sched_arr": 3, "block": 3}),
    (partial(on, rows=3, minute=None), {"sched_dep": 3, "request_id": 3}),
    (partial(on, rows=3, time_hour="rubbish"), {"clock_off_min": 3, "sched_dep": 3}),
    (partial(on, rows=3, arr_delay="-170"), {"arr, dep": 1}),
    (partial(repeated, rows=2), {"carrier, flight, sched_dep": 4, "request_id": 4}),
    (partial(without, rows=600), {"volume": 0}),
    (partial(without, rows=9999), {"rows": 0, "volume": 0}),
    (partial(on, rows=3, minute="60"), {"minute": 3}),
    (partial(only, origins=("EWR", "JFK")), {"rows of LGA": 0}),
]
# What a day's statistics break is counted in all of its rows.
OF_DAYS = {"volume", "rows of LGA"}
BROKEN_WEATHER: list[tuple[Broken, dict[str, int]]] = [
    (partial(on, rows=3, origin="SFO"), {"origin": 3}),
    (partial(on, rows=3, temp="900"), {"temp": 3}),
    (partial(on, rows=3, humid="-1"), {"humid": 3}),
    (partial(on, rows=3, wind_speed="1048"), {"wind_speed": 3}),
    (partial(on, rows=3, pressure="1 013"), {"unreadable": 3}),
    (partial(on, rows=3, visib=None), {"visib": 3}),
    (partial(on, rows=99, pressure=None), {"nulls of pressure": 72}),
    (partial(repeated, rows=2), {"origin, time_hour": 4, "step_min": 1}),
    (partial(only, origins=("EWR", "JFK")), {"rows of LGA": 48}),
    (partial(without, rows=40), {"volume": 32}),
    (partial(without, rows=99), {"rows": 0}),
]


def as_published(folder: Path, day: date) -> Examined:
    """The flights of a day, out of three days of the source: to read and tidy the whole year takes seconds."""
    source = source_folder(folder / "published", day - timedelta(days=1), day + timedelta(days=2))
    return examine_flights(folder, day, day + timedelta(days=1), source)


@pytest.mark.full
def test_every_day_of_2013_passes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    year = (date(2013, 1, 1), date(2013, 12, 31))
    flights, weather = examine_flights(tmp_path, *year), examine_weather(tmp_path, *year)
    assert {day: v for e in (flights, weather) for day, v in e.verdict.violations.items()} == {}
    assert flights.undated.is_empty()
    assert weather.undated.is_empty()
    assert {**flights.tables, **weather.tables} == dict.fromkeys(TABLES, ())
    assert len(flights.verdict.rows) == len(weather.verdict.rows) == 364
    assert sum(flights.verdict.rows.values()) == flights.frame.height == 333_344
    assert sum(weather.verdict.rows.values()) == 26_115
    assert flights.verdict.expectations > 40
    assert weather.verdict.expectations > 25
    assert capfd.readouterr() == ("", ""), "the library is quiet"


@pytest.mark.parametrize(
    ("examine", "table", "broken"),
    [(examine_flights, "flights", BROKEN_FLIGHTS), (examine_weather, "weather", BROKEN_WEATHER)],
    ids=["flights", "weather"],
)
def test_each_broken_day_is_named_by_column_and_count_and_no_other(
    tmp_path: Path, examine: Callable[..., Examined], table: str, broken: list[tuple[Broken, dict[str, int]]]
) -> None:
    start = date(2013, 6, 4)
    last = start + timedelta(days=2 * len(broken))  # every other day is left as it is
    days_of = dict(zip((start + timedelta(days=2 * i) for i in range(len(broken))), broken, strict=True))

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        for day, (breaking, _) in days_of.items():
            rows = breaking(day)(rows)
        return rows

    source = source_folder(tmp_path / "source", start - timedelta(days=5), last + timedelta(days=1), **{table: change})
    verdict = examine(tmp_path, start - timedelta(days=4), last, source).verdict
    assert set(verdict.violations) == set(days_of)
    for day, (_, expected) in days_of.items():
        counted = {v.column: v.count for v in verdict.violations[day]}
        expected |= {column: verdict.rows[day] for column in expected if column in OF_DAYS}
        assert expected.items() <= counted.items(), (day, counted)


def test_half_a_day_and_a_doubled_day_are_seen_by_their_volume(tmp_path: Path) -> None:
    base = {date(2013, 6, 1) + timedelta(days=i): n for i, n in enumerate((950, 700, 960, 955, 961))}
    examined = as_published(tmp_path, DAY + timedelta(days=1))
    suite = replace(flights_suite(zones(read_airports_table())), unique=(), least_rows={})

    def violations(frame: pl.DataFrame, stored: Mapping[date, int]) -> set[str]:
        found = check_days(frame, suite, [DAY + timedelta(days=1)], stored).violations
        return {v.column for of_day in found.values() for v in of_day}

    assert violations(examined.frame, base) == set()
    assert violations(examined.frame.head(470), base) == {"volume"}
    assert violations(pl.concat([examined.frame, examined.frame]), base) == {"volume"}
    few = dict(list(base.items())[:2])
    assert violations(examined.frame.head(470), few) == set(), "two days are no comparison"
    old = {day - timedelta(days=15): n for day, n in base.items()}
    assert violations(examined.frame.head(470), old) == set(), "nor are old ones"


def test_a_violation_says_its_rule_and_names_rows(tmp_path: Path) -> None:
    source = source_folder(tmp_path / "source", DAY, DAY + timedelta(days=2), flights=on(DAY, 7, origin="SFO"))
    (violation,) = examine_flights(tmp_path, DAY, DAY + timedelta(days=1), source).verdict.violations[DAY]
    assert violation.rule == "values to be in set EWR, JFK, LGA"
    assert violation.count == 7
    assert len(violation.examples) == 5
    assert violation.examples[0] == "request_id=US-1431-20130605T0900, origin=SFO"
    assert str(violation).startswith("origin: values to be in set EWR, JFK, LGA (7 rows: request_id=")


def test_the_columns_of_the_source_are_checked_and_stop_no_day(tmp_path: Path) -> None:
    of_range = (DAY, DAY + timedelta(days=2))
    source = source_folder(
        tmp_path / "source",
        *of_range,
        flights=lambda t: t.rename({"air_time": "airtime"}),
        airports=lambda t: t.drop("name"),
        weather=lambda t: t.with_columns(snow=pl.lit("1")),
    )
    flights, weather = examine_flights(tmp_path, *of_range, source), examine_weather(tmp_path, *of_range, source)
    assert [str(v) for v in flights.tables["flights_source_valid"]] == [
        "flights.csv: airtime: column to be a published one (0 rows: unexpected)",
        "flights.csv: air_time: column to be there (0 rows: missing)",
        "airports.csv: name: column to be there (0 rows: missing)",
    ]
    assert [v.column for v in weather.tables["weather_source_valid"]] == ["weather.csv: snow"]
    assert flights.verdict.success
    assert weather.verdict.success


def test_rows_of_no_day_are_shown_and_kept_and_stop_no_day(tmp_path: Path) -> None:
    of_range = (DAY, DAY + timedelta(days=2))
    lost = on(DAY, 2, time_hour="noon", month="13")
    source = source_folder(tmp_path / "source", *of_range, flights=lost, weather=lost)
    repaired = source_folder(tmp_path / "repaired", *of_range)
    for examine, name in ((examine_flights, "flights"), (examine_weather, "weather")):
        examined = examine(tmp_path, *of_range, source)
        (violation,) = examined.tables[f"{name}_source_valid"]
        assert (violation.column, violation.rule, violation.count) == ("time_hour", "values to name a day", 2)
        assert "13" in violation.examples[0]
        assert set(examined.store(tmp_path).rows) == set(days(*of_range))
        assert pl.read_parquet(tmp_path / "quarantine" / name / "no-day.parquet")["month"].to_list() == [13, 13]
        examine(tmp_path, *of_range, repaired).store(tmp_path)
        assert not (tmp_path / "quarantine" / name / "no-day.parquet").exists(), "a repair takes them away"


@pytest.mark.parametrize("neighbours", ["good", "refused"])
def test_a_minute_that_points_to_another_day_touches_no_other_day(tmp_path: Path, neighbours: str) -> None:
    days_of = (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1))
    of_range = (days_of[0], days_of[2] + timedelta(days=1))

    def examined(start: date, end: date, change: Change) -> Examined:
        source = source_folder(tmp_path / "source", start - timedelta(days=1), end + timedelta(days=1), flights=change)
        return examine_flights(tmp_path, start, end, source)

    spoil = [on(day, 1, origin="SFO") for day in (days_of[0], days_of[2]) if neighbours == "refused"]
    examined(*of_range, lambda table: reduce(lambda rows, change: change(rows), spoil, table)).store(tmp_path)
    before = others(tmp_path)
    assert len(before) == 2
    for minute in ("600", "-600"):
        outcome = examined(DAY, DAY + timedelta(days=1), on(DAY, 9999, minute=minute)).store(tmp_path)
        assert "minute: values to be between 0 and 59" in outcome.held[DAY]
        assert others(tmp_path) == before, minute


def others(folder: Path) -> dict[Path, bytes]:
    """What is stored of other days than DAY."""
    return {p: p.read_bytes() for p in folder.rglob("day=*.parquet") if DAY.isoformat() not in p.name}


def test_rows_that_say_another_date_refuse_the_day_that_they_are_missing_from(tmp_path: Path) -> None:
    of_range = (DAY - timedelta(days=1), DAY + timedelta(days=2))
    source = source_folder(
        tmp_path / "source", of_range[0] - timedelta(days=1), of_range[1], flights=on(DAY, 300, month="7")
    )
    verdict = examine_flights(tmp_path, *of_range, source).verdict
    assert set(verdict.violations) == {DAY}
    assert {v.column: v.count for v in verdict.violations[DAY]}["clock_off_min"] == 300
    other = date(2013, 7, 5)
    assert set(examine_flights(tmp_path, other, other + timedelta(days=1), source).verdict.violations) == {other}


def test_outcomes_must_agree(tmp_path: Path) -> None:
    examined = as_published(tmp_path, date(2013, 3, 8))
    frame = examined.frame.with_columns(cancelled=~pl.col("cancelled"))
    cancelled = examined.frame["cancelled"].sum()
    assert cancelled > 0
    verdict = check_days(frame, flights_suite(zones(read_airports_table())), [date(2013, 3, 8)], {})
    counts = {(v.column, v.rule): v.count for v in verdict.violations[date(2013, 3, 8)]}
    assert counts["dep", "values to not be null where cancelled is False"] == cancelled
    assert counts["dep", "values to be null where cancelled is True"] == frame.height - cancelled


@pytest.mark.parametrize(
    ("values", "column"),
    [({"tzone": "Mars/Base"}, "tzone"), ({"faa": "EWR"}, "faa"), ({"lat": 91.0}, "lat"), ({"lon": None}, "lon")],
)
def test_the_airports_table_is_checked(values: dict[str, object], column: str) -> None:
    table = read_airports_table()
    assert check_table(table, airports_suite()) == ()
    bad = table.with_columns(
        pl.when(pl.int_range(pl.len()) < 2).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    )
    assert column in {v.column for v in check_table(bad, airports_suite())}


def test_a_broken_airports_table_refuses_every_day(tmp_path: Path) -> None:
    of_range = (DAY, DAY + timedelta(days=2))
    source = source_folder(tmp_path / "source", *of_range, airports=lambda t: t.with_columns(tzone=pl.lit("Mars/Base")))
    examined = examine_flights(tmp_path, *of_range, source)
    assert set(examined.verdict.violations) == set(days(*of_range))
    assert [v.column for v in examined.tables["airports_valid"]] == ["tzone"]
