import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.training.evaluation import evaluate

LABELLED = st.lists(st.tuples(st.integers(0, 1), st.floats(0.01, 0.99)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def test_metrics_of_a_case_worked_by_hand() -> None:
    metrics = evaluate(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))

    assert metrics.rows == 4
    assert metrics.auc == pytest.approx(3 / 4)
    assert metrics.log_loss == pytest.approx(-(math.log(0.9) * 2 + math.log(0.4) * 2) / 4)
    assert metrics.brier == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert metrics.calibration_bias == pytest.approx(0.0)


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
