import numpy as np
import pytest

from orchestration.backtest.textbook import (
    ALPHA,
    RULES,
    alarms,
    benjamini_hochberg,
    ks_p_value,
    wasserstein,
)

RANDOM = np.random.default_rng(11)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.2])
def test_ks_and_wasserstein_are_those_of_scipy(shift: float) -> None:
    from scipy.stats import ks_2samp, wasserstein_distance

    a, b = RANDOM.normal(size=3000), np.round(RANDOM.normal(shift, 1.1, 700), 2)
    assert ks_p_value(a, b) == pytest.approx(ks_2samp(a, b, method="asymp").pvalue, rel=0.15, abs=1e-6)
    assert wasserstein(a, b) == pytest.approx(wasserstein_distance(a, b))


def test_ks_keeps_its_level() -> None:
    rejected = [ks_p_value(RANDOM.normal(size=300), RANDOM.normal(size=200)) < ALPHA for _ in range(600)]
    assert 0.02 < np.mean(rejected) < 0.075


def test_equal_samples_are_certainly_equal() -> None:
    assert ks_p_value(np.arange(50.0), np.arange(50.0)) == 1.0


def test_benjamini_hochberg_takes_the_largest_rank_that_fits() -> None:
    assert benjamini_hochberg(np.array([0.9, 0.024, 0.9, 0.02]))  # .024 <= .05 * 2 / 4, though .02 > .05 / 4
    assert not benjamini_hochberg(np.array([0.9, 0.03, 0.9, 0.02]))


def test_a_rule_speaks_of_what_it_is_about() -> None:
    same = [RANDOM.normal(size=4000) for _ in range(4)]
    assert alarms(same, same) == dict.fromkeys(RULES, False)
    one_moved = [same[0] + 1.5, *same[1:]]
    assert alarms(same, one_moved) == dict(zip(RULES, (True, True, True, False), strict=True))
    assert all(alarms(same, [column + 1.5 for column in same]).values())
