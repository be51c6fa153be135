"""Which rows count as evidence, and what their differences are."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from orchestration.ingestion.predictions import PAIRED_SCHEMA, PREDICTION_SCHEMA
from orchestration.rollout.pairing import (
    Pair,
    brier_differences,
    failure_differences,
    labelled,
    log_odds,
    score_shifts,
    scored_by_both,
)

NOON = datetime(2013, 5, 2, 12, tzinfo=UTC)
PAIR = Pair(baseline="m_v1", canary="m_v2")


def frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def answered(name: str, arm: str = "baseline", score: float = 0.2, **others: Any) -> dict[str, Any]:
    """A row that `arm` answered, in the order of the names."""
    at = NOON + timedelta(seconds=sum(map(ord, name)))
    model = "m_v2" if arm == "canary" else "m_v1"
    row = {"prediction_id": name, "request_id": f"r-{name}", "arm": arm, "triton_model": model, "score": score}
    return row | {"event_time": at, "served_at": at, "outcome": "ok", "charged": True, "vector": [score]} | others


def fell_back(name: str, outcome: str, **others: Any) -> dict[str, Any]:
    return answered(name, fallback_from="canary", fallback_outcome=outcome, **others)


def shadow(name: str, score: float | None = 0.3, outcome: str = "ok", **others: Any) -> dict[str, Any]:
    row = {"prediction_id": name, "arm": "shadow", "triton_model": "m_v2", "outcome": outcome, "score": score}
    return row | {"charged": True} | others


def reverse(name: str, score: float | None = 0.3, outcome: str = "ok", **others: Any) -> dict[str, Any]:
    return shadow(name, score, outcome, **({"arm": "baseline", "triton_model": "m_v1"} | others))


def failures(predictions: list[dict[str, Any]], paired: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    errors, invalid = failure_differences(frame(predictions, PREDICTION_SCHEMA), frame(paired, PAIRED_SCHEMA), PAIR)
    return errors.tolist(), invalid.tolist()


def both(predictions: list[dict[str, Any]], paired: list[dict[str, Any]]) -> pl.DataFrame:
    return scored_by_both(frame(predictions, PREDICTION_SCHEMA), frame(paired, PAIRED_SCHEMA), PAIR)


def test_a_failure_of_the_canary_alone_counts_against_it_one_of_the_baseline_alone_for_it() -> None:
    predictions = [
        answered("a", "canary"), fell_back("b", "error"), fell_back("c", "timeout"), fell_back("d", "invalid"),
        answered("e", "canary"), fell_back("f", "error"), answered("g", "canary"),
    ]  # fmt: skip
    paired = [reverse(name) for name in "abcd"]
    paired += [reverse("e", None, "timeout"), reverse("f", None, "error"), reverse("g", None, "invalid")]
    errors, invalid = failures(predictions, paired)
    assert errors == [0, 1, 1, 0, -1, 0, 0]
    assert invalid == [0, 0, 0, 1, 0, 0, -1]


def test_a_fallback_from_before_its_outcome_was_logged_is_an_error() -> None:
    assert failures([fell_back("a", "error") | {"fallback_outcome": None}], [reverse("a")]) == ([1], [0])


def test_a_row_whose_background_score_was_dropped_counts_neither_way() -> None:
    assert failures([fell_back("a", "error"), answered("b", "canary")], []) == ([], [])


def test_one_row_of_an_exchange_counts_whichever_side_the_exchange_was_on() -> None:
    predictions = [
        fell_back("a", "error"),
        fell_back("b", "error", charged=False),
        answered("c", "canary", charged=False),
    ]
    predictions += [answered("d", "canary"), answered("e", "canary")]
    paired = [reverse("a"), reverse("b"), reverse("c"), reverse("d", charged=False), reverse("e")]
    assert failures(predictions, paired) == ([1, 0], [0, 0])


def test_what_the_baseline_answered_or_another_model_scored_is_no_row_of_the_canary() -> None:
    predictions = [answered("a"), answered("b", "control"), answered("c", "canary", triton_model="m_v9")]
    predictions += [answered("d", "canary")]
    paired = [shadow("a", None, "error"), shadow("b", None, "error"), reverse("c"), reverse("d", triton_model="m_v8")]
    assert failures(predictions, paired) == ([], [])


def test_failures_are_in_the_order_of_the_answers() -> None:
    assert failures([answered("b", "canary"), fell_back("a", "error")], [reverse("a"), reverse("b")])[0] == [1, 0]


def test_rows_that_both_scored_count_whichever_of_the_two_answered() -> None:
    predictions = [answered("a", score=0.1), answered("b", "control", 0.2), answered("c", "canary", 0.3)]
    predictions += [fell_back("d", "error", score=0.4)]
    paired = [shadow("a", 0.9), shadow("b", 0.8), reverse("c", 0.7), shadow("d", 0.6), reverse("d", 0.4)]
    found = both(predictions, paired)
    assert found["prediction_id"].to_list() == ["a", "b", "c", "d"]
    assert found["baseline"].to_list() == [0.1, 0.2, 0.7, 0.4]
    assert found["canary"].to_list() == [0.9, 0.8, 0.3, 0.6]


def test_rows_of_one_exchange_all_count_for_their_scores() -> None:
    assert both([answered("a", "canary", charged=False)], [reverse("a", charged=False)]).height == 1


def test_failed_scores_and_other_models_are_no_pairs() -> None:
    predictions = [answered("a"), answered("b"), answered("c", triton_model="m_v0"), answered("d", "canary")]
    paired = [shadow("a", None, "timeout"), shadow("b", triton_model="m_v9"), shadow("c"), reverse("d", None, "error")]
    assert both(predictions, paired).is_empty()


def test_a_model_tried_against_itself_is_told_from_the_baseline_by_its_arm() -> None:
    same = Pair("m_v1", "m_v1")
    predictions = [answered("a", score=0.1), answered("b", "canary", 0.3, triton_model="m_v1")]
    paired = [shadow("a", 0.9, triton_model="m_v1"), reverse("b", 0.7)]
    found = scored_by_both(frame(predictions, PREDICTION_SCHEMA), frame(paired, PAIRED_SCHEMA), same)
    assert found.select("baseline", "canary").rows() == [(0.1, 0.9), (0.7, 0.3)]


def scores(*pairs: tuple[float, float]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema=["baseline", "canary"], orient="row")


def test_a_canary_that_serves_its_model_has_no_shift_however_far_the_models_are_apart() -> None:
    served = scores((0.1, 0.6), (0.5, 0.1), (0.9, 0.95))
    shifts = score_shifts(served, served["baseline"].to_numpy(), served["canary"].to_numpy())
    assert shifts == pytest.approx([0.0, 0.0, 0.0])


@pytest.mark.parametrize(("canary", "baseline", "shift"), [(0.3, 0.0, 0.3), (0.0, 0.3, -0.3), (5.0, 0.0, 1.0)])
def test_a_side_that_serves_another_model_than_is_registered_is_shifted(
    canary: float, baseline: float, shift: float
) -> None:
    def sigmoid(logit: float) -> float:
        return 1 / (1 + math.exp(-logit))

    served = scores((sigmoid(-1 + baseline), sigmoid(-2 + canary)))
    found = score_shifts(served, np.array([sigmoid(-1)]), np.array([sigmoid(-2)]))
    assert found == pytest.approx([shift])


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1])
def test_a_score_that_is_no_probability_has_no_shift(bad: float) -> None:
    good = np.array([0.5])
    assert np.isnan(score_shifts(scores((0.5, bad)), good, good)).all()
    assert np.isnan(score_shifts(scores((0.5, 0.5)), good, np.array([bad]))).all()


def test_log_odds_of_certainty_are_finite() -> None:
    assert log_odds(np.array([0.0, 0.5, 1.0])) == pytest.approx([-13.8155, 0.0, 13.8155], abs=1e-4)


def known(*rows: tuple[str, int, datetime], subject: str | None = None) -> pl.DataFrame:
    found = pl.DataFrame(rows, schema=["prediction_id", "label", "matures_at"], orient="row")
    return found.with_columns(subject=pl.lit(subject) if subject else pl.col("prediction_id"))


def test_rows_with_a_known_label_count_in_the_order_in_which_they_matured() -> None:
    rows = both([answered(name) for name in "abc"], [shadow(name) for name in "abc"])
    labels = known(("a", 1, NOON), ("b", 0, NOON - timedelta(minutes=5)), ("c", 0, NOON + timedelta(minutes=1)))
    found = labelled(rows, labels, NOON)
    assert found["request_id"].to_list() == ["r-b", "r-a"]
    assert found["label"].to_list() == [0.0, 1.0]


def test_what_was_asked_twice_counts_once() -> None:
    rows = both([answered("a"), answered("b", "canary")], [shadow("a"), reverse("b")])
    assert labelled(rows, known(("a", 1, NOON), ("b", 1, NOON), subject="r1"), NOON).height == 1


def test_the_order_of_the_rows_does_not_depend_on_their_labels() -> None:
    """An on-time flight is known to be so before its deadline; it must not enter the test before an earlier late one."""
    rows = both([answered(name) for name in "abcd"], [shadow(name) for name in "abcd"])
    labels = known(*((name, i % 2, NOON + timedelta(minutes=i)) for i, name in enumerate("abcd")))
    found = labelled(rows, labels, NOON + timedelta(days=1))
    assert found["request_id"].to_list() == ["r-a", "r-b", "r-c", "r-d"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_that_is_no_probability_has_no_squared_error(bad: float) -> None:
    labels, good = np.array([1.0]), np.array([0.5])
    assert np.isnan(brier_differences(labels, good, np.array([bad]))).all()
    assert np.isnan(brier_differences(labels, np.array([bad]), good)).all()
    assert brier_differences(labels, good, np.array([0.25])) == pytest.approx([0.3125])
