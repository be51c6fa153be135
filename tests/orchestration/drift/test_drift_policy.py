"""When a column has drifted, and when a window has: plain functions."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.drift.policy import FEWEST_WINDOWS, LEAST_PSI
from orchestration.drift.psi import psi
from orchestration.drift.thresholds import fitted_thresholds, past_windows
from orchestration.drift.verdict import judge_drift
from tests.orchestration.drift.samples import window

END = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = [f"f{i}" for i in range(26)]


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
)
def test_psi_is_zero_for_the_same_values_and_never_negative(first: list[int], second: list[int]) -> None:
    reference, current = np.array(first, np.float64), np.array(second, np.float64)
    assert psi(reference, reference) == 0
    assert psi(reference, current) >= 0


@given(
    st.sampled_from([np.float32, np.float64]),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=22, max_size=80, unique=True),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80),
)
def test_the_bins_are_those_of_numpy_over_both_samples(dtype: type, first: list[float], second: list[float]) -> None:
    """As Evidently counts: Sturges' edges of the concatenation, and a plain histogram of each sample on them."""
    reference, current = np.array(first, dtype), np.array(second, dtype)
    edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
    p, q = (np.histogram(sample, edges)[0] / len(sample) for sample in (reference, current))
    p, q = np.where(p == 0, 1e-4, p), np.where(q == 0, 1e-4, q)
    assert psi(reference, current) == pytest.approx(float(np.sum((p - q) * np.log(p / q))), rel=1e-12)


def test_text_is_compared_value_by_value() -> None:
    texts, numbers = (np.array(["x", "x", "x", "y"], object), np.array(["x", "x", "z", "y"], object)), (
        np.array([0, 0, 0, 1.0]), np.array([0, 0, 2, 1.0]),
    )  # fmt: skip
    assert psi(*texts) == psi(*numbers) > 0


def test_psi_by_hand() -> None:
    """(.75 - .5) ln(.75 / .5) + (.25 - .5) ln(.25 / .5), of the values 0 and 1."""
    reference, current = np.array([0, 0, 0, 1.0]), np.array([0, 0, 1.0, 1.0])
    assert psi(reference, current) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


def test_past_windows_lie_one_after_the_other_back_from_the_end_and_none_is_cut() -> None:
    times = [END - timedelta(hours=h) for h in range(1, 24 * 3 + 6)]
    rows = pl.DataFrame({"event_timestamp": times, "a": range(len(times))})
    windows = past_windows(rows, end=END, length=DAY)
    assert [w.columns for w in windows] == [["a"]] * 3
    assert [(w["a"].min(), w["a"].max()) for w in windows] == [(0, 23), (24, 47), (48, 71)]


def test_weeks_begin_every_day_and_none_is_cut() -> None:
    times = [END - timedelta(hours=h) for h in range(1, 24 * 9 + 1)]
    rows = pl.DataFrame({"event_timestamp": times, "a": range(len(times))})
    windows = past_windows(rows, end=END, length=7 * DAY)
    assert [(w["a"].min(), w["a"].max()) for w in windows] == [(24 * i, 24 * (i + 7) - 1) for i in range(3)]
    assert past_windows(rows, end=END, length=10 * DAY) == []


def test_windows_without_rows_are_left_out() -> None:
    rows = pl.DataFrame({"event_timestamp": [END - timedelta(days=3), END - timedelta(hours=1)], "a": [1, 2]})
    assert [w["a"].to_list() for w in past_windows(rows, end=END, length=DAY)] == [[2], [1]]
    assert past_windows(rows.clear(), end=END, length=DAY) == []


def test_a_column_that_always_moves_gets_a_higher_threshold_than_one_that_does_not() -> None:
    shifts = np.random.default_rng(5).normal(0, 1.5, 40)
    windows = [window(i, 200, shift) for i, shift in enumerate(shifts)]
    limits = fitted_thresholds(pl.concat(windows), windows)
    assert limits["delay"] > 1
    assert limits["distance"] == LEAST_PSI


def test_nineteen_of_twenty_past_windows_lie_below_the_threshold() -> None:
    windows = [window(i, 200, i % 40) for i in range(40)]
    reference = pl.concat(windows)
    limit = fitted_thresholds(reference, windows)["delay"]
    scores = [psi(reference["delay"].to_numpy(), w["delay"].to_numpy()) for w in windows]
    assert sum(score >= limit for score in scores) == 2


def test_with_few_past_windows_the_least_psi_counts_for_all() -> None:
    windows = [window(i, 50, i) for i in range(FEWEST_WINDOWS - 1)]
    assert fitted_thresholds(pl.concat(windows), windows) == {"delay": LEAST_PSI, "distance": LEAST_PSI}


@pytest.mark.parametrize(
    ("drifted", "compared", "rows", "usual", "wanted"),
    [
        (0, 26, 900, 900.0, ("pass", "0 of 26 features drifted")),
        (12, 26, 900, 900.0, ("pass", "12 of 26 features drifted: f0, f1, f2, f3, f4 and 7 more")),
        (13, 26, 900, 900.0, ("fail", "13 of 26 features drifted")),
        (5, 10, 900, None, ("fail", "5 of 10 features drifted: f0, f1, f2, f3, f4")),
        (26, 26, 449, 900.0, ("inconclusive", "449 rows, where 900 are usual, are too few")),
        (26, 26, 450, 900.0, ("fail", "26 of 26")),
        (26, 26, 3, None, ("fail", "26 of 26")),
        (0, 0, 900, 900.0, ("inconclusive", "no column has values")),
    ],
)
def test_verdicts(drifted: int, compared: int, rows: int, usual: float | None, wanted: tuple[str, str]) -> None:
    found = judge_drift(NAMES[:drifted], compared=compared, rows=rows, usual_rows=usual)
    assert found.outcome == wanted[0]
    assert found.reason.startswith(wanted[1])
    assert found.share == (drifted / compared if compared else 0)
