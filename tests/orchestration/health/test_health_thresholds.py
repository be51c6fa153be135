"""What is usual, from past windows."""

from datetime import date

import msgspec
import numpy as np
import pytest

from orchestration.health.past import rolling_origins
from orchestration.health.policy import shipped_health_policy
from orchestration.health.thresholds import fitted_thresholds
from tests.orchestration.health.windows import health

POLICY = shipped_health_policy()
NO_FLOORS = msgspec.structs.replace(POLICY.thresholds, least_surprise=0, least_bias=0, quantile=0.75)


def test_thresholds_are_the_quantile_of_past_windows_the_bias_on_either_side() -> None:
    past = [health(seed, log_odds=0.2) for seed in range(9)]
    found = fitted_thresholds(past, NO_FLOORS)
    assert found.surprise == pytest.approx(np.quantile([w.surprise for w in past], 0.75))
    assert found.bias == pytest.approx(np.quantile([abs(w.calibration_bias) for w in past], 0.75))
    assert min(w.calibration_bias for w in past) < 0, "the truth lies above the scores"
    assert (found.windows, found.enough) == (9, True)


def test_a_calm_past_leaves_the_floors() -> None:
    floors = msgspec.structs.replace(NO_FLOORS, least_surprise=0.5, least_bias=0.4)
    found = fitted_thresholds([health(seed) for seed in range(9)], floors)
    assert (found.surprise, found.bias, found.enough) == (0.5, 0.4, True)


def test_too_few_windows_are_said_to_be_too_few() -> None:
    found = fitted_thresholds([health(1)] * (POLICY.thresholds.fewest_windows - 1))
    assert not found.enough
    assert found.windows == POLICY.thresholds.fewest_windows - 1


def test_origins_roll_over_whole_windows_with_enough_days_before_them() -> None:
    origins = rolling_origins((date(2013, 1, 1), date(2013, 4, 1)), POLICY)
    assert origins[0] == ((date(2013, 1, 1), date(2013, 2, 4)), (date(2013, 2, 4), date(2013, 2, 11)))
    assert origins[-1] == ((date(2013, 1, 1), date(2013, 3, 25)), (date(2013, 3, 25), date(2013, 4, 1)))
    assert len(origins) == 8
    assert rolling_origins((date(2013, 1, 1), date(2013, 2, 8)), POLICY) == []


def test_of_a_long_past_the_last_windows_count() -> None:
    origins = rolling_origins((date(2012, 1, 2), date(2013, 12, 30)), POLICY)
    assert len(origins) == POLICY.past.most_windows
    assert origins[-1][1] == (date(2013, 12, 23), date(2013, 12, 30))
