"""The figures of a window: by hand, against scikit-learn, and in simulation."""

import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.health.windows import CLIP, expected_log_loss, window_days, window_health
from orchestration.training.evaluation import evaluate
from tests.orchestration.health.windows import drawn, health, scores


def test_a_window_by_hand() -> None:
    found = window_health(np.array([0, 1]), np.array([0.25, 0.5]))
    assert found.log_loss == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75) + math.log(0.5)) / 2
    assert found.expected_log_loss == pytest.approx(entropy)
    assert found.surprise == pytest.approx(found.log_loss - entropy)
    assert (found.rows, found.brier, found.auc) == (2, pytest.approx((0.0625 + 0.25) / 2), 1.0)
    assert (found.calibration_bias, found.label_share, found.mean_score) == (pytest.approx(-0.125), 0.5, 0.375)
    assert found.surprise_noise == pytest.approx(math.sqrt(0.1875) * math.log(3) / 2)
    assert found.bias_noise == pytest.approx(math.sqrt(0.1875 + 0.25) / 2)


def test_it_agrees_with_the_evaluation_of_models() -> None:
    p = scores(1)
    labels = drawn(p, 2)
    found, other = window_health(labels, p), evaluate(labels, p)
    for name in ("rows", "auc", "log_loss", "brier", "calibration_bias", "calibration_error"):
        assert getattr(found, name) == pytest.approx(getattr(other, name)), name


def test_surprise_and_bias_of_calibrated_scores_scatter_as_their_noise_says() -> None:
    """Two hundred windows: both standardised figures have mean 0 and deviation 1, and those of other scores have not."""
    windows = [health(seed) for seed in range(100)]
    surprise = np.array([w.surprise / w.surprise_noise for w in windows])
    bias = np.array([w.calibration_bias / w.bias_noise for w in windows])
    for standardised in (surprise, bias):
        assert abs(standardised.mean()) < 4 / math.sqrt(100)
        assert 0.85 < standardised.std() < 1.15
    worse = [health(seed, log_odds=0.3) for seed in range(50)]
    assert np.mean([w.surprise / w.surprise_noise for w in worse]) > 4
    assert np.mean([w.calibration_bias / w.bias_noise for w in worse]) < -4


def test_certain_scores_stay_finite_and_one_label_has_no_auc() -> None:
    found = window_health(np.array([1, 1]), np.array([0.0, 1.0]))
    assert found.log_loss == pytest.approx(-math.log(CLIP) / 2, rel=1e-3)
    assert found.auc is None
    assert expected_log_loss(np.array([0.0, 1.0])) < 1e-4


@pytest.mark.parametrize(
    ("labels", "said", "message"),
    [
        ([], [], "without rows"),
        ([0], [0.5, 0.5], "same length"),
        ([0, 1], [0.5, 1.5], "probabilities"),
        ([0, 1], [0.5, math.nan], "probabilities"),
        ([0, 2], [0.5, 0.5], "0 or 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(labels: list[int], said: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window_health(np.array(labels), np.array(said))


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 40))
def test_windows_follow_one_another_without_a_gap(day: date, length: int) -> None:
    first, end = window_days(day, length)
    assert first <= day < end
    assert end - first == timedelta(days=length)
    assert window_days(end, length)[0] == end
    assert window_days(first, length) == window_days(end - timedelta(days=1), length) == (first, end)


def test_windows_of_seven_days_begin_on_mondays() -> None:
    assert window_days(date(2013, 4, 4), 7) == (date(2013, 4, 1), date(2013, 4, 8))
    assert date(2013, 4, 1).weekday() == 0
