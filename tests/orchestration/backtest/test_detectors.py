"""Each daily check speaks of its own fault, and of nothing else."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from orchestration.backtest.detectors import CHATTY, DAILY_PSI, WEEKLY_PSI, daily_alarms, weekly_alarms
from orchestration.backtest.served import Served, between
from orchestration.backtest.usual import Usual, median_ages, usual_days
from orchestration.features.inputs import model_inputs
from orchestration.features.views import BY_NAME

INPUTS = model_inputs({"carrier": ("UA",), "origin": ("EWR",)})
NAMES = [i.name for i in INPUTS]
DAYS, A_DAY = 40, 200
NOW = datetime(2013, 3, 2, 2, tzinfo=UTC)


def vectors(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, len(INPUTS))).astype(np.float32)


def ages(rows: int, **other: float) -> Mapping[str, np.ndarray]:
    return {view: np.full(rows, other.get(view, 60.0)) for view in BY_NAME}


@pytest.fixture(scope="module")
def usual() -> Usual:
    first = datetime(2013, 1, 20, tzinfo=UTC)
    asked = pl.Series([first + timedelta(days=i / A_DAY) for i in range(DAYS * A_DAY)], dtype=pl.Datetime("us", "UTC"))
    recent = [median_ages(Served(vectors(1, 0), ages(1)))] * 25
    return usual_days(asked, vectors(DAYS * A_DAY, 1), recent, INPUTS, end=date(2013, 3, 1))


def said(usual: Usual, served: Served) -> set[tuple[str, str]]:
    return {(alarm.by, alarm.subject) for alarm in daily_alarms(served, usual, NOW)}


def test_a_usual_day_is_quiet(usual: Usual) -> None:
    assert {by for by, _ in said(usual, Served(vectors(A_DAY, 2), ages(A_DAY)))} <= {DAILY_PSI}


def test_nulls_are_told_by_feature(usual: Usual) -> None:
    day = vectors(A_DAY, 2)
    day[: A_DAY // 2, NAMES.index("w_visib")] = np.nan
    assert {one for one in said(usual, Served(day, ages(A_DAY))) if one[0] not in CHATTY} == {("nulls", "w_visib")}


def test_values_that_no_day_had_are_out_of_range(usual: Usual) -> None:
    day = vectors(A_DAY, 2)
    day[:, NAMES.index("w_visib")] *= 60
    found = said(usual, Served(day, ages(A_DAY)))
    assert {("ranges", "w_visib"), (DAILY_PSI, "w_visib")} <= found
    assert ("nulls", "w_visib") not in found


def test_old_and_missing_views_are_stale(usual: Usual) -> None:
    old = said(usual, Served(vectors(A_DAY, 2), ages(A_DAY, origin_weather=7200.0)))
    missing = said(usual, Served(vectors(A_DAY, 2), ages(A_DAY, dest_arrivals=float("nan"))))
    assert {one for one in old if one[0] not in CHATTY} == {("freshness", "origin_weather")}
    assert {one for one in missing if one[0] not in CHATTY} == {("freshness", "dest_arrivals")}


def test_a_small_shift_takes_a_week_to_see(usual: Usual) -> None:
    week = vectors(7 * A_DAY, 3)
    week[:, NAMES.index("w_wind_speed")] += 0.6
    alarms = list(weekly_alarms(Served(week, ages(7 * A_DAY)), usual, NOW))
    assert [(alarm.by, alarm.subject) for alarm in alarms] == [(WEEKLY_PSI, "w_wind_speed")]


def test_too_few_rows_say_nothing_of_shares_and_drift(usual: Usual) -> None:
    few = np.full((10, len(INPUTS)), 1e6, np.float32)
    assert said(usual, Served(few, ages(10))) == set()


def test_a_day_is_open_at_its_beginning_and_closed_at_its_end() -> None:
    asked = pl.Series([NOW - timedelta(days=1), NOW - timedelta(hours=1), NOW, NOW + timedelta(hours=1)])
    day = between(Served(vectors(4, 5), ages(4)), asked, NOW - timedelta(days=1), NOW)
    assert (day.vectors == vectors(4, 5)[1:3]).all()
    assert {len(of) for of in day.ages.values()} == {2}
