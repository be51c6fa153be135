"""In a world that its model knows no new model is asked for but by chance; in one that it does not, at once."""

from datetime import UTC, date, datetime, timedelta

import numpy as np

from orchestration.backtest.checkup import ended_window
from orchestration.backtest.course import Rules
from orchestration.backtest.no_drift import alarms_without_drift
from orchestration.health.policy import shipped_health_policy
from orchestration.health.thresholds import HealthThresholds
from orchestration.rollout.policy import shipped_policy
from tests.orchestration.backtest.synthetic_world import world_of

START, END = date(2013, 6, 3), date(2013, 8, 5)
N = 9 * 7 * 720
CHANCES = np.random.default_rng(1).beta(1.0, 3.0, N).clip(0.01, 0.99)
WORLD = world_of(datetime(2013, 6, 3, tzinfo=UTC), CHANCES)
RULES = Rules(shipped_policy(), shipped_health_policy(), HealthThresholds(0.0, 0.0, windows=8, enough=True))


def test_redrawn_years_are_quiet_and_the_same_again() -> None:
    asked = alarms_without_drift(WORLD, CHANCES, RULES, START, END, years=6, seed=4)
    assert asked == alarms_without_drift(WORLD, CHANCES, RULES, START, END, years=6, seed=4)
    assert 0 <= sum(asked) <= 6 * 0.69  # one in 91 days would be .69 in each of these nine weeks


def test_thresholds_below_the_noise_would_not_be_quiet() -> None:
    import msgspec

    health = msgspec.structs.replace(
        RULES.health, thresholds=msgspec.structs.replace(RULES.health.thresholds, noise=0.0)
    )
    loose = Rules(RULES.rollout, health, RULES.thresholds)
    assert sum(alarms_without_drift(WORLD, CHANCES, loose, START, END, years=2, seed=4)) > 4


def test_a_window_ends_with_a_midnight_to_monday() -> None:
    policy = shipped_health_policy()
    assert ended_window(START, policy) == (START - timedelta(days=7), START)
    assert [ended_window(START + timedelta(days=day), policy) for day in range(1, 7)] == [None] * 6
