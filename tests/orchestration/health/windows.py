"""Windows for the tests: labels drawn from scores, true or not."""

import numpy as np
from numpy.typing import NDArray

from orchestration.health.thresholds import HealthThresholds
from orchestration.health.windows import WindowHealth, window_health

USUAL = HealthThresholds(surprise=0.02, bias=0.03, windows=9, enough=True)


def scores(seed: int, rows: int = 4000) -> NDArray[np.float64]:
    """Like those of a delay model: a quarter of the flights is late."""
    return np.random.default_rng(seed).beta(1.2, 3.6, rows)


def drawn(p: NDArray[np.float64], seed: int) -> NDArray[np.int8]:
    """Labels that are 1 with chance `p`."""
    return (np.random.default_rng(seed).random(len(p)) < p).astype(np.int8)


def shifted(p: NDArray[np.float64], log_odds: float) -> NDArray[np.float64]:
    """`p` moved by so much in log-odds."""
    return p * np.exp(log_odds) / (1 - p + p * np.exp(log_odds))


def health(seed: int, *, rows: int = 4000, log_odds: float = 0.0) -> WindowHealth:
    """A window whose truth lies `log_odds` above the scores."""
    p = scores(seed, rows)
    return window_health(drawn(shifted(p, log_odds), seed + 1_000_000), p)
