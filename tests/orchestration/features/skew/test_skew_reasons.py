"""Each cause by its signs, on tables of facts; the order of the signs; what too few rows do not show."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.features.skew.facts import FACTS, spaced
from orchestration.features.skew.offline import NEIGHBOURS
from orchestration.features.skew.policy import EXPLAINED_ROWS, FEWEST_FITTING
from orchestration.features.skew.reasons import reasons

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PLAIN: dict[str, Any] = {
    "served": 3.0, "offline": 4.0, "weight": 1.0, "late": False, "status": "present", "older": False,
    **dict.fromkeys(NEIGHBOURS, False),
}  # fmt: skip


def fact(minute: float, **known: Any) -> dict[str, Any]:
    """A differing value at NOON and so many minutes, of a row of that instant unless it is said otherwise."""
    at = NOON + minute * MINUTE
    return PLAIN | {"event_timestamp": at, "served_at": at, "offline_at": at} | known


def names(facts: Sequence[dict[str, Any]]) -> list[tuple[str, float]]:
    return [(reason.name, reason.rows) for reason in reasons(pl.DataFrame(facts, schema=FACTS))]


def different(n: int) -> list[dict[str, Any]]:
    """Nothing explains them: no ratio is like another."""
    return [fact(minute, served=float(minute + 2) ** 2, offline=float(minute + 1)) for minute in range(n)]


def test_nothing_differs_for_no_reason() -> None:
    assert names([]) == []


def test_what_nothing_explains_is_unknown() -> None:
    assert names(different(20)) == [("unknown", 20)]


def test_a_late_event_goes_before_every_other_sign() -> None:
    signs = {"late": True, "status": "expired", "served_at": NOON - MINUTE, "older": True, "row before": True}
    assert names([fact(minute, **signs) for minute in range(10)]) == [("late event", 10)]


@pytest.mark.parametrize("status", ["expired", "missing"])
def test_a_view_that_was_not_served_where_there_is_a_row_is_expired(status: str) -> None:
    gone = {"status": status, "served": float("nan"), "served_at": None}
    assert names([fact(0, **gone)]) == [("expired", 1)]
    assert names([fact(0, **gone, offline_at=None)]) == [("unknown", 1)]


def test_a_view_that_stood_still_for_hours_is_frozen_and_what_expires_on_the_way_is_part_of_it() -> None:
    frozen = {"served_at": NOON - MINUTE, "older": True}
    facts = [fact(minute, **frozen) for minute in range(0, 120, 5)]
    facts += [fact(minute, **frozen | {"older": False, "status": "expired"}) for minute in range(120, 180, 5)]
    (reason,) = reasons(pl.DataFrame(facts, schema=FACTS))
    assert (reason.name, reason.rows) == ("frozen view", 36)
    assert reason.detail == (
        "no row newer than 2013-05-01 11:59:00 was served from 2013-05-01 12:00:00 to 2013-05-01 14:55:00"
    )


def test_a_view_that_stood_still_for_less_is_stale() -> None:
    assert names([fact(minute, served_at=NOON - MINUTE, older=True) for minute in range(59)]) == [("stale row", 59)]


def test_a_writer_that_is_always_behind_is_stale_for_its_rows_move_on() -> None:
    facts = [fact(minute, served_at=NOON + (minute - 3) * MINUTE, older=True) for minute in range(300)]
    (reason,) = reasons(pl.DataFrame(facts, schema=FACTS))
    assert (reason.name, reason.rows) == ("stale row", 300)
    assert "by 180 s in the median" in reason.detail


def test_an_older_row_that_does_not_give_the_value_explains_nothing() -> None:
    facts = [row | {"served_at": NOON - MINUTE} for row in different(90)]
    assert names(facts) == [("unknown", 90)]


@pytest.mark.parametrize(("factor", "told"), [(60.0, "60"), (1 / 60, "1/60"), (1.609344, "1.609"), (-1.0, "-1")])
def test_a_constant_ratio_is_a_unit(factor: float, told: str) -> None:
    offline = np.random.default_rng(3).normal(size=50).astype(np.float32)
    facts = [fact(minute, served=float(value) * factor, offline=float(value)) for minute, value in enumerate(offline)]
    (reason,) = reasons(pl.DataFrame(facts, schema=FACTS))
    assert (reason.name, reason.rows) == ("unit", 50)
    assert reason.detail == f"served is {told} times offline"


def test_one_value_has_a_constant_ratio_to_anything() -> None:
    assert names([fact(minute, served=6.0, offline=0.1) for minute in range(50)]) == [("unknown", 50)]


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_the_value_of_a_neighbour_is_a_shifted_window(neighbour: str) -> None:
    facts = [row | {neighbour: row["event_timestamp"] != NOON} for row in different(20)]
    found = reasons(pl.DataFrame(facts, schema=FACTS))
    assert [(reason.name, reason.rows) for reason in found] == [("shifted window", 19), ("unknown", 1)]
    assert found[0].detail.endswith(neighbour)


def test_a_pattern_needs_nine_rows_of_ten_and_five_of_them() -> None:
    some = [row | {"row before": n < 8} for n, row in enumerate(different(10))]
    assert names(some) == [("unknown", 10)]
    few = [row | {"row before": True} for row in different(FEWEST_FITTING - 1)]
    assert names(few) == [("unknown", FEWEST_FITTING - 1)]


def test_causes_are_told_apart_and_the_most_frequent_first() -> None:
    facts = [row | {"row before": True} for row in different(30)] + [fact(99, late=True), fact(99, status="missing")]
    facts.sort(key=lambda row: row["event_timestamp"])
    assert names(facts) == [("shifted window", 30), ("late event", 1), ("expired", 1)]


def test_a_row_that_stands_for_others_counts_for_them() -> None:
    assert names([fact(0, late=True, weight=12.5)]) == [("late event", 12.5)]


@given(st.integers(0, 4 * EXPLAINED_ROWS))
def test_evenly_spaced_rows_are_few_different_and_in_order(n: int) -> None:
    chosen = spaced(np.arange(n))
    assert len(chosen) == min(n, EXPLAINED_ROWS)
    assert (np.diff(chosen) > 0).all()
    assert not n or (chosen[0], chosen[-1]) == (0, n - 1)


BOOLEANS = st.booleans()
ANY_FACT = st.builds(
    fact,
    st.integers(0, 300),
    served=st.floats(width=32),
    offline=st.floats(width=32),
    late=BOOLEANS,
    older=BOOLEANS,
    status=st.sampled_from(["present", "expired", "missing", None]),
    served_at=st.sampled_from([None, NOON, NOON - MINUTE]),
    offline_at=st.sampled_from([None, NOON, NOON + MINUTE]),
    **dict.fromkeys(("weight",), st.floats(1, 10)),
)


@given(st.lists(ANY_FACT, max_size=30))
def test_every_differing_row_has_one_cause(facts: list[dict[str, Any]]) -> None:
    facts.sort(key=lambda row: row["event_timestamp"])
    found = names(facts)
    assert sum(rows for _, rows in found) == pytest.approx(sum(row["weight"] for row in facts))
    assert len(dict(found)) == len(found)
