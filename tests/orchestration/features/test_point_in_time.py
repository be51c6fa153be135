from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from orchestration.features import point_in_time
from orchestration.features.compute import compute_views, write_features
from orchestration.features.training import COLUMNS, FEATURES, read_training, training_rows, write_training
from orchestration.features.views import LEAD, VIEWS
from orchestration.ingestion.partitions import partition_path
from tests.orchestration.features.lakes import raw_lake
from tests.orchestration.features.reference import START, random_flights, random_weather, reference

DAYS = 3
SEEDS = st.integers(0, 10_000)


def rows_of(flights: pl.DataFrame, weather: pl.DataFrame) -> pl.DataFrame:
    start = START.date()
    return training_rows(flights, compute_views(flights, weather, start, start + timedelta(days=DAYS)))


@settings(max_examples=3, deadline=None)
@given(SEEDS)
def test_every_feature_equals_the_brute_force_reference(seed: int) -> None:
    flights, weather = random_flights(seed), random_weather(seed)
    events, reports = flights.to_dicts(), weather.to_dicts()
    rows = rows_of(flights, weather)
    expected = [reference(flight, events, reports) for flight in flights.sort("sched_dep", "request_id").to_dicts()]
    names = list(expected[0])
    assert names == [name for name in FEATURES if not name.startswith("s_")]
    assert_frame_equal(
        rows.select(names), pl.DataFrame(expected, schema=dict.fromkeys(names, pl.Float32)), rel_tol=1e-5, abs_tol=1e-5
    )


def future(flights: pl.DataFrame, t: datetime, rng: np.random.Generator, keep: str) -> pl.DataFrame:
    """The flights with everything after t changed, removed or added, as it comes; the flight `keep` stays a request."""
    utc = pl.Datetime("us", "UTC")
    n = flights.height
    draw = {
        "u": pl.Series(rng.random(n)),
        "later": pl.Series(rng.integers(1, 3000, n)),
        "delay": pl.Series(rng.integers(-50, 900, n), dtype=pl.Int32),
    }
    happens_later = pl.lit(t, utc) + pl.duration(minutes="later")
    changed = flights.with_columns(**draw).with_columns(
        expression
        for at, delay in (("dep", "dep_delay"), ("arr", "arr_delay"))
        for expression in (
            pl.when(pl.col(at) <= t).then(at).otherwise(pl.when(pl.col("u") < 0.7).then(happens_later)).alias(at),
            pl.when(pl.col(at) <= t).then(delay).otherwise(pl.when(pl.col("u") < 0.7).then("delay")).alias(delay),
        )
    )
    past = (pl.col("sched_dep") <= t) | (pl.col("dep") <= t) | (pl.col("arr") <= t) | (pl.col("request_id") == keep)
    stays = changed.filter(past.fill_null(value=False) | (pl.col("u") < 0.5))
    added = changed.filter(~past.fill_null(value=False)).with_columns(request_id=pl.format("X{}", "request_id"))
    return pl.concat([stays, added]).drop(list(draw)).sort("sched_dep", "request_id")


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(20, 249))
def test_no_event_after_the_prediction_can_change_a_row(seed: int, i: int) -> None:
    rng = np.random.default_rng(seed)
    flights, weather = random_flights(seed), random_weather(seed)
    t, request = flights["sched_dep"][i] - LEAD, flights["request_id"][i]
    known = weather.filter(pl.col("time_hour") + LEAD <= t)
    unknown = weather.filter(pl.col("time_hour") + LEAD > t).sample(fraction=0.7, seed=seed)
    stormy = unknown.with_columns(precip=9.0, pressure=900.0, visib=0.0, wind_speed=99.0)
    before, after = (
        rows_of(f, w).filter(request_id=request).select(FEATURES)
        for f, w in ((flights, weather), (future(flights, t, rng, request), pl.concat([known, stormy])))
    )
    assert before.height == 1
    assert_frame_equal(before, after, check_exact=True)


@settings(max_examples=4, deadline=None)
@given(SEEDS)
def test_rows_out_are_rows_in_whatever_is_tied_or_doubled(seed: int) -> None:
    flights, weather = random_flights(seed), random_weather(seed)
    views = compute_views(flights, weather, START.date(), START.date() + timedelta(days=DAYS))
    doubled = {
        name: pl.concat([rows, rows]).sort("event_timestamp", maintain_order=True) for name, rows in views.items()
    }
    tied = pl.concat([flights, flights.with_columns(request_id=pl.format("{}b", "request_id"))])
    single, double = training_rows(flights, views), training_rows(tied.sort("sched_dep", "request_id"), doubled)
    assert sorted(double["request_id"]) == sorted(tied["request_id"])
    same = double.filter(~pl.col("request_id").str.ends_with("b"))
    assert_frame_equal(same, single, check_exact=True)
    empty = training_rows(flights, {name: rows.clear() for name, rows in views.items()})
    assert empty.height == flights.height


def test_a_join_that_loses_rows_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    joined = point_in_time._joined
    monkeypatch.setattr(point_in_time, "_joined", lambda *of: joined(*of).head(7))
    with pytest.raises(RuntimeError, match="join of origin_weather made 7 rows of 250"):
        rows_of(random_flights(1), random_weather(1))


def test_an_event_at_the_prediction_counts() -> None:
    flights = random_flights(1).head(2)
    sched = START + timedelta(hours=12)
    utc = pl.Datetime("us", "UTC")
    flights = flights.with_columns(
        sched_dep=pl.Series([sched - LEAD, sched], dtype=utc),
        dep=pl.Series([sched - LEAD, None], dtype=utc),
        dep_delay=pl.Series([0, None], dtype=pl.Int32),
        cancelled=pl.Series([False, True]),
        tailnum=pl.lit("N1"),
    )
    second = rows_of(flights, random_weather(1)).row(1, named=True)
    assert second["r_tail_last_dep_delay"] == 0
    assert second["r_tail_min_since_dep"] == 0


def test_labels_say_what_was_known_and_when() -> None:
    flights = random_flights(3)
    rows = rows_of(flights, random_weather(3)).join(flights, on="request_id", suffix="_flight")
    late = pl.col("dep").is_null() | (pl.col("dep") > pl.col("sched_dep") + pl.duration(minutes=15))
    assert (rows.select(late == (pl.col("label") == 1)).to_series()).all()
    known_in = (rows["label_known_at"] - rows["event_timestamp"]).dt.total_minutes()
    assert known_in.max() == 75
    on_time = rows.filter(label=0)
    assert (on_time["label_known_at"] == on_time["dep"]).all()


def test_no_flight_is_lost_or_doubled() -> None:
    flights = random_flights(5)
    rows = rows_of(flights, random_weather(5))
    assert rows["request_id"].sort().to_list() == flights["request_id"].sort().to_list()
    assert tuple(rows.columns) == COLUMNS


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lake")
    raw_lake(folder, date(2013, 2, 1), date(2013, 2, 13))
    write_features(folder, date(2013, 2, 1), date(2013, 2, 13))
    return folder


def test_a_partition_does_not_depend_on_the_range(lake: Path, tmp_path: Path) -> None:
    raw_lake(tmp_path, date(2013, 2, 1), date(2013, 2, 13))
    day = date(2013, 2, 10)  # the day after a blizzard, and nine days after the first
    write_features(tmp_path, day, day + timedelta(days=1))
    for view in VIEWS:
        files = [pl.read_parquet(partition_path(root / "features" / view.name, day)) for root in (lake, tmp_path)]
        assert files[0].height > 0
        assert tuple(files[0].columns) == view.columns
        assert_frame_equal(*files, check_exact=True)


def test_training_rows_of_the_lake(lake: Path) -> None:
    start, end = date(2013, 2, 5), date(2013, 2, 8)
    outcome = write_training(lake, start, end)
    rows = read_training(lake / "training", start, end)
    assert rows.height == sum(outcome.rows.values())
    assert (
        list(outcome.rows)
        == rows["sched_dep"].dt.date().unique().sort().to_list()
        == [date(2013, 2, d) for d in (5, 6, 7)]
    )
    assert rows.filter(pl.col("e_org_dep_ewm1h_mean").is_null()).height == 0
    assert not outcome.held
