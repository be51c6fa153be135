"""Nulls and values out of range: shares, what is usual of them, and the verdict."""

import math

import numpy as np
import polars as pl
import pytest

from orchestration.drift.data_quality import (
    judge_shares,
    null_shares,
    outside_shares,
    usual_height,
    usual_limits,
    usual_ranges,
)
from orchestration.drift.policy import FEWEST_WINDOWS
from tests.orchestration.drift.samples import window


def test_null_shares_count_nulls_and_nan_of_any_dtype() -> None:
    frame = pl.DataFrame({"a": [1.0, None, math.nan, 2.0], "b": ["x", None, "y", "z"], "c": [1, 2, 3, 4]})
    assert null_shares(frame) == {"a": 0.5, "b": 0.25, "c": 0.0}


def test_a_range_is_the_quantiles_widened_by_their_distance_and_text_has_none() -> None:
    reference = pl.DataFrame({"a": np.arange(1001.0), "empty": [None] * 1001, "s": ["x"] * 1001, "same": [5] * 1001})
    ranges = usual_ranges(reference.cast({"empty": pl.Float32}))
    assert ranges == {"a": pytest.approx((1 - 998, 999 + 998)), "same": (5.0, 5.0)}


def test_both_ends_of_a_range_are_in_it_and_a_null_is_nowhere() -> None:
    frame = pl.DataFrame({"a": [0.0, 1.0, -0.01, 1.01, None, math.nan, 0.5, 0.5]})
    assert outside_shares(frame, {"a": (0.0, 1.0)}) == {"a": 0.25}


def test_minutes_that_became_seconds_are_out_of_range_and_a_storm_is_not() -> None:
    ranges = usual_ranges(window(1, 5000))
    assert outside_shares(window(2, 500, shift=1.5), ranges)["delay"] == 0
    assert outside_shares(window(2, 500) * 60, ranges)["delay"] > 0.8


def test_a_limit_is_what_past_windows_reached_and_the_margin() -> None:
    past = [{"a": i / 100, "b": 0.0} for i in range(100)]
    assert usual_limits({"a": 0.5, "b": 0.0}, past, margin=0.1) == pytest.approx({"a": 0.9801 + 0.1, "b": 0.1})


def test_with_few_past_windows_the_limit_is_the_whole_windows_share_and_the_margin() -> None:
    past = [{"a": 0.9}] * (FEWEST_WINDOWS - 1)
    assert usual_limits({"a": 0.2}, past, margin=0.1) == pytest.approx({"a": 0.3})
    assert usual_limits({"a": 0.2}, [*past, past[0]], margin=0.1) == pytest.approx({"a": 1.0})


LIMITS = {"a": 0.1, "b": 0.2, "c": 0.1, "d": 0.1}


@pytest.mark.parametrize(
    ("shares", "rows", "usual", "wanted"),
    [
        ({"a": 0.1, "b": 0.2}, 900, 900.0, ("pass", "as usual, in all of 4", ())),
        ({"a": 0.11, "b": 0.2}, 900, 900.0, ("fail", "a is null in 11.0% of the rows (usual: up to 10.0%)", ("a",))),
        ({"a": 0.2, "b": 0.9}, 900, None, ("fail", "b is null in 90.0%", ("b", "a"))),
        (dict.fromkeys(LIMITS, 1.0), 9, None, ("fail", "a is null in 100.0%", ("a", "c", "d", "b"))),
        ({"a": 1.0}, 449, 900.0, ("inconclusive", "449 rows, where 900 are usual, are too few", ())),
        ({}, 0, 900.0, ("inconclusive", "no row has been logged", ())),
        ({"new": 1.0}, 9, None, ("pass", "as usual", ())),
    ],
)
def test_verdicts_on_shares(
    shares: dict[str, float], rows: int, usual: float | None, wanted: tuple[str, str, tuple[str, ...]]
) -> None:
    found = judge_shares(shares, LIMITS, what="is null", rows=rows, usual_rows=usual)
    assert (found.outcome, found.unusual) == (wanted[0], wanted[2])
    assert found.reason.startswith(wanted[1])


def test_of_many_unusual_names_the_worst_are_told() -> None:
    found = judge_shares(dict.fromkeys(LIMITS, 1.0), LIMITS, what="is null", rows=9, usual_rows=None)
    assert found.reason.count("is null in") == 3
    assert found.reason.endswith("and 1 more")


def test_usual_height_is_the_median() -> None:
    assert usual_height([window(1, n) for n in (10, 500, 30)]) == 30
    assert usual_height([]) is None


def test_a_healthy_feature_is_seldom_called_unusual() -> None:
    """90 past days with noise in their null share, 2,000 later ones from the same law: hardly a false alarm."""
    rng = np.random.default_rng(2013)
    past = [{"a": share} for share in rng.beta(2, 30, 90)]
    limits = usual_limits({"a": 0.06}, past, margin=0.1)
    alarms = sum(share > limits["a"] for share in rng.beta(2, 30, 2000))
    assert alarms <= 4
    assert limits["a"] < 0.4, "a burst of nulls would be seen"
