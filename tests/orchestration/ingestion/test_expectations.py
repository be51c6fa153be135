import polars as pl
import pytest

from orchestration.ingestion.expectations import validate_flights
from orchestration.ingestion.source import read_airports_table, read_flights_table
from orchestration.ingestion.tidy import tidy_flights


@pytest.fixture(scope="module")
def flights() -> pl.DataFrame:
    return tidy_flights(read_flights_table().filter(month=3, day=8), read_airports_table())


def rules(frame: pl.DataFrame) -> dict[tuple[str, str], int]:
    return {(v.column, v.rule): v.count for v in validate_flights(frame).violations}


def test_a_real_day_passes_and_nothing_is_printed(flights: pl.DataFrame, capfd: pytest.CaptureFixture[str]) -> None:
    outcome = validate_flights(flights)
    assert outcome.success
    assert outcome.rows == flights.height
    assert outcome.expectations > 20
    assert capfd.readouterr() == ("", "")


def test_an_empty_partition_fails(flights: pl.DataFrame) -> None:
    assert ("(table)", "table row count to be between") in rules(flights.clear())


def test_a_missing_column_fails_by_name(flights: pl.DataFrame) -> None:
    assert ("distance", "column values to not be null") in rules(flights.drop("distance"))


def test_each_broken_row_is_counted_under_its_rule(flights: pl.DataFrame) -> None:
    first = pl.int_range(pl.len()) < 3
    too_early = pl.when(first).then(-60).otherwise(pl.col("dep_delay"))
    elsewhere = pl.when(first).then(pl.lit("SFO")).otherwise(pl.col("origin"))
    assert rules(flights.with_columns(dep_delay=too_early)) == {("dep_delay", "column values to be between"): 3}
    assert rules(flights.with_columns(origin=elsewhere)) == {("origin", "column values to be in set"): 3}


def test_outcomes_must_agree(flights: pl.DataFrame) -> None:
    cancelled = flights["cancelled"].sum()
    assert cancelled > 0
    found = rules(flights.with_columns(cancelled=~pl.col("cancelled")))
    assert found[("dep", "column values to not be null where cancelled == False")] == cancelled
    assert found[("dep", "column values to be null where cancelled == True")] == flights.height - cancelled


def test_a_flight_may_stand_only_once_and_examples_name_it(flights: pl.DataFrame) -> None:
    violations = validate_flights(pl.concat([flights, flights.head(1)])).violations
    assert {v.column: v.count for v in violations} == {"carrier, flight, sched_dep": 2, "request_id": 2}
    assert any(flights["request_id"][0] in v.examples for v in violations)
