"""What is known of a canary: its differences from the baseline, row by row."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from orchestration.rollout.policy import CriterionName

Floats = NDArray[np.float64]


def _none() -> Floats:
    return np.empty(0)


@dataclass(frozen=True)
class Evidence:
    """Differences canary minus baseline for each test, shape [n] each, in [-1, 1], in the order they became known.

    `errors` and `invalid_outputs`: whether the row failed so, canary minus baseline: -1, 0 or 1. `score_shift`: log-odds,
    clipped. `latency`: of a block of requests, 2 P(canary is slower) - 1. `loss`: squared error of the probability.
    What could not be computed is NaN: an error, not an absence. `absent` says of a test without rows why it has none.
    """

    errors: Floats = field(default_factory=_none)
    invalid_outputs: Floats = field(default_factory=_none)
    score_shift: Floats = field(default_factory=_none)
    latency: Floats = field(default_factory=_none)
    loss: Floats = field(default_factory=_none)
    absent: Mapping[CriterionName, str] = field(default_factory=dict)

    def of(self, name: CriterionName) -> Floats:
        """The differences of one test."""
        found: Floats = getattr(self, name)
        return found
