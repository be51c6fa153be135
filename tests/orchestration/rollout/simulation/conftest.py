import numpy as np
import pytest

from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.simulation.experiments import Material
from orchestration.rollout.simulation.flights import Flights, sigmoid
from orchestration.rollout.simulation.run import prepared


@pytest.fixture(scope="session")
def made_up_flights() -> Flights:
    """A year like the real one: a few hundred busy keys among many idle ones, each with risks of its own."""
    rng = np.random.default_rng(1)
    weights = rng.pareto(1.2, 800) + 0.2
    key = rng.choice(800, 40_000, p=weights / weights.sum())
    log_odds = -1.4 + rng.normal(0, 0.7, 800)[key] + rng.normal(0, 1.0, len(key))
    labels = (rng.random(len(key)) < sigmoid(log_odds)).astype(np.float64)
    return Flights(log_odds, labels, key, tuple(f"N{n}" for n in range(800)))


@pytest.fixture(scope="session")
def material(made_up_flights: Flights) -> Material:
    return prepared(made_up_flights, shipped_policy().evidence, requests=2000, seed=3)
