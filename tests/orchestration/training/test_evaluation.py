import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.training.evaluation import calibration_bins, evaluate

LABELLED = st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 0.99)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def test_metrics_of_a_case_worked_by_hand() -> None:
    metrics = evaluate(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))

    assert metrics.rows == 4
    assert metrics.auc == pytest.approx(3 / 4)
    assert metrics.log_loss == pytest.approx(-(math.log(0.9) * 2 + math.log(0.4) * 2) / 4)
    assert metrics.brier == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert metrics.brier_skill == pytest.approx(1 - metrics.brier / 0.25)
    assert metrics.calibration_bias == pytest.approx(0.0)
    assert metrics.calibration_error == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


@given(LABELLED)
def test_auc_is_the_chance_that_a_late_flight_scores_above_an_on_time_one(rows: list[tuple[int, float]]) -> None:
    late = [s for label, s in rows if label]
    on_time = [s for label, s in rows if not label]
    wins = sum((a > b) + (a == b) / 2 for a in late for b in on_time)

    labels, scores = (np.array(column) for column in zip(*rows, strict=True))

    assert evaluate(labels, scores).auc == pytest.approx(wins / len(late) / len(on_time))


@given(LABELLED, st.floats(0.001, 0.009))
def test_calibration_bias_moves_with_the_scores(rows: list[tuple[int, float]], shift: float) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))

    moved = evaluate(labels, scores + shift).calibration_bias - evaluate(labels, scores).calibration_bias

    assert moved == pytest.approx(shift)


@given(LABELLED)
def test_the_base_rate_alone_has_no_skill_and_the_truth_has_all(rows: list[tuple[int, float]]) -> None:
    labels = np.array([label for label, _ in rows])
    base = np.full(len(labels), labels.mean())

    assert evaluate(labels, base).brier_skill == pytest.approx(0)
    assert evaluate(labels, labels.astype(float)).brier_skill == pytest.approx(1)
    assert evaluate(labels, labels.astype(float)).calibration_error == pytest.approx(0)


@given(LABELLED)
def test_calibration_error_is_at_least_the_bias_that_it_hides_nowhere(rows: list[tuple[int, float]]) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    metrics, bins = evaluate(labels, scores), calibration_bins(labels, scores)

    assert metrics.calibration_error >= abs(metrics.calibration_bias) - 1e-9
    assert bins.rows.sum() == len(labels)
    assert bins.rows.max() - bins.rows.min() <= 1
    assert (np.diff(bins.score) >= 0).all()


def test_ten_groups_of_like_scores_are_each_held_to_their_word() -> None:
    """Scores .05, .15 ... .95, a hundred rows each; half of the rows of the highest group were late, none of another's."""
    scores = np.repeat(np.arange(0.05, 1, 0.1), 100)
    labels = np.zeros(1000, int)
    labels[-50:] = 1

    bins = calibration_bins(labels, scores)

    np.testing.assert_allclose(bins.score, np.arange(0.05, 1, 0.1))
    np.testing.assert_allclose(bins.observed, [0] * 9 + [0.5])
    assert bins.error == pytest.approx((np.arange(0.05, 0.9, 0.1).sum() + 0.45) / 10)


@pytest.mark.parametrize(
    ("labels", "scores", "complaint"),
    [
        ([0, 1], [0.5], "one column of the same length"),
        ([0, 1], [0.5, 1.5], "probabilities"),
        ([0, 1], [0.5, math.nan], "probabilities"),
        ([1, 1], [0.5, 0.6], "must hold both 0 and 1, got [1.0]"),
        ([0, 2], [0.5, 0.6], "must hold both 0 and 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(labels: list[int], scores: list[float], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        evaluate(np.array(labels), np.array(scores))
