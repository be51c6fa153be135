"""How fresh the served features were: from the log, with what is usual."""

import polars as pl
import pytest

from orchestration.drift.freshness import ServedViews, age_limits, judge_freshness, served_views, stale_shares
from orchestration.drift.policy import FEWEST_WINDOWS
from orchestration.ingestion.predictions import PREDICTION_SCHEMA
from tests.synthetic import synthetic_inputs

HOUR = 3600.0
View = tuple[str, str, float | None]


def logged(*rows: list[View], degraded: int = 0) -> pl.DataFrame:
    documents = [
        {"views": [dict(zip(("view", "status", "age_s"), view, strict=True)) for view in views], "degraded": False}
        for views in rows
    ]
    documents += [{"views": [], "degraded": True}] * degraded
    return pl.DataFrame(documents, schema={name: PREDICTION_SCHEMA[name] for name in ("views", "degraded")})


def test_views_of_the_log_by_share_and_age() -> None:
    found = served_views(
        logged(
            [("a", "present", 10.0), ("b", "missing", None)],
            [("a", "present", 30.0), ("b", "missing", None)],
            [("a", "expired", 9e9), ("b", "missing", None)],
            [("a", "present", 20.0), ("b", "missing", None)],
            degraded=1,
        )
    )
    assert found == ServedViews(5, {"a": 0.25, "b": 1.0}, {"a": 20.0}, 0.2)


def test_no_rows_and_rows_without_views() -> None:
    assert served_views(logged()) == ServedViews(0, {}, {}, 0.0)
    assert served_views(logged([], [])) == ServedViews(2, {}, {}, 0.0)


def test_a_view_was_stale_where_all_of_its_inputs_are_null() -> None:
    inputs = synthetic_inputs()
    row = dict.fromkeys((i.name for i in inputs), 1.0)
    null = float("nan")
    rows = [row, row | {"w_dpress": null}, row | dict.fromkeys(("r_tail_last_arr_delay", "r_tail_min_since_arr"), null)]
    found = stale_shares(pl.DataFrame(rows), inputs)
    assert found.pop("tail_arrivals") == pytest.approx(1 / 3)
    assert set(found.values()) == {0.0}
    assert set(found) == {
        "origin_weather", "origin_departures", "carrier_origin_departures", "carrier_arrivals", "dest_arrivals",
        "tail_departures", "origin_board", "nyc_departures",
    }  # fmt: skip


def test_an_age_limit_is_from_the_past_the_ttl_at_most_and_from_the_ttl_where_no_past_is_known() -> None:
    past = [{"a": 600.0, "b": 20 * HOUR}] * FEWEST_WINDOWS
    ttl = {"a": 24 * HOUR, "b": 24 * HOUR, "c": 4 * HOUR}
    assert age_limits(ttl, past) == {"a": 900.0, "b": 24 * HOUR, "c": 3 * HOUR}
    assert age_limits(ttl, past[1:])["a"] == 18 * HOUR


FRESH = ServedViews(100, {"a": 0.05, "b": 0.0}, {"a": 600.0, "b": 60.0}, 0.0)


@pytest.mark.parametrize(
    ("served", "outcome", "reason", "unusual"),
    [
        (FRESH, "pass", "as usual, in all of 2 views", ()),
        (
            ServedViews(100, {"a": 0.5}, {"a": 1.0}, 0.0),
            "fail",
            "a was missing or expired for 50.0% of the rows",
            ("a",),
        ),
        (
            ServedViews(100, {}, {"b": 3 * HOUR}, 0.0),
            "fail",
            "b was 3.0 h old in the median (usual: up to 2.0 h)",
            ("b",),
        ),
        (ServedViews(100, {}, {}, 0.02), "fail", "the online store was away for 2.0%", ("online store",)),
        (ServedViews(0, {}, {}, 0.0), "inconclusive", "no row has been logged", ()),
        (ServedViews(100, {"new": 0.9}, {"new": 9e9}, 0.0), "pass", "as usual", ()),
    ],
)
def test_verdicts_on_freshness(served: ServedViews, outcome: str, reason: str, unusual: tuple[str, ...]) -> None:
    found = judge_freshness(served, stale_limits={"a": 0.1, "b": 0.1}, age_limits_s={"a": 1800.0, "b": 2 * HOUR})
    assert (found.outcome, found.unusual) == (outcome, unusual)
    assert found.reason.startswith(reason)


def test_features_that_froze_are_old_before_they_expire() -> None:
    """Fed once at midnight and never again: by noon the median age of a view that is fed each minute says so."""
    past = [{"a": 120.0 + i} for i in range(FEWEST_WINDOWS)]
    limits = age_limits({"a": 24 * HOUR}, past)
    ages: list[list[View]] = [[("a", "present", 60.0 * minute)] for minute in range(12 * 60)]
    found = judge_freshness(served_views(logged(*ages)), stale_limits={"a": 0.1}, age_limits_s=limits)
    assert found.reason == "a was 6.0 h old in the median (usual: up to 0.1 h)"
