"""Worlds in which rows do not depend on each other: what both arms would have logged, many runs side by side."""

from dataclasses import dataclass

import numpy as np

from orchestration.rollout.betting import Floats
from orchestration.rollout.latency import BLOCK, slower
from orchestration.rollout.pairing import brier_differences
from orchestration.rollout.simulation.flights import Flights, sigmoid

ERRORS, INVALID = 0.002, 0.0005  # shares of the requests of a sound model
LATENCY_SPREAD = 0.4  # of the logarithm: the slowest request of a hundred takes two and a half times the median
NOISE = 0.35  # of either arm's log-odds: two models that are as good as each other, each in its way


@dataclass(frozen=True)
class Arms:
    """Values of the canary and of what it is compared with, shape [runs, n] each."""

    canary: Floats
    other: Floats

    @property
    def differences(self) -> Floats:
        """Row by row, canary minus other."""
        found: Floats = self.canary - self.other
        return found

    def then(self, later: "Arms") -> "Arms":
        """These rows, and after them the later ones."""
        both = ((self.canary, later.canary), (self.other, later.other))
        return Arms(*(np.concatenate(rows, axis=-1) for rows in both))


def failures(rng: np.random.Generator, shape: tuple[int, int], canary: float, other: float) -> Arms:
    """Whether requests fail, 0 or 1."""
    return Arms((rng.random(shape) < canary).astype(np.float64), (rng.random(shape) < other).astype(np.float64))


def latencies(rng: np.random.Generator, shape: tuple[int, int], slowdown: float = 1.0) -> Arms:
    """Log-normal latencies; the canary's are `slowdown` times as long."""
    return Arms(slowdown * np.exp(rng.normal(0, LATENCY_SPREAD, shape)), np.exp(rng.normal(0, LATENCY_SPREAD, shape)))


def latency_blocks(arms: Arms) -> Floats:
    """The differences of blocks of requests in their order, shape [runs, n // BLOCK]."""
    blocks = arms.canary.shape[-1] // BLOCK
    of_blocks = (len(arms.canary), blocks, BLOCK)
    canary, other = (side[:, : blocks * BLOCK].reshape(of_blocks) for side in (arms.canary, arms.other))
    return slower(canary, other)


def shifts(rng: np.random.Generator, shape: tuple[int, int], shift: float = 0.0) -> Floats:
    """Differences of log-odds beyond those of the registered models: noise of both arms' serving, and the canary's shift."""
    return np.clip(shift + rng.normal(0, NOISE, shape) - rng.normal(0, NOISE, shape), -1, 1)


def drawn(rng: np.random.Generator, flights: Flights, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Log-odds and labels of flights drawn with replacement, shape [runs, n] each."""
    rows = rng.integers(0, len(flights.labels), shape)
    return flights.log_odds[rows], flights.labels[rows]


def equal_losses(rng: np.random.Generator, flights: Flights, shape: tuple[int, int]) -> Floats:
    """Differences of squared error between two models that are as good as each other, on real labels."""
    log_odds, labels = drawn(rng, flights, shape)
    canary, baseline = (sigmoid(log_odds + rng.normal(0, NOISE, shape)) for _ in range(2))
    return brier_differences(labels, baseline, canary)
