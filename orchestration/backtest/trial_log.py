"""What the prediction log would hold of a trial: differences of the two models, row by row, and how the canary fails."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestration.backtest.world import Floats
from orchestration.rollout.evidence import Evidence, brier_differences

# Of requests to a sound model, on either arm: errors and timeouts.
USUAL_ERRORS = 0.002
# Latencies are log-normal with this spread: a 90th percentile of 1.5 times the median.
LATENCY_SPREAD = 0.3
BLOCK = 4


def _as_registered(scores: Floats) -> Floats:
    return scores


@dataclass(frozen=True)
class CanaryFault:
    """How the canary's serving differs from that of its registered model.

    `errors` and `invalid` are shares of its requests that fail so, `latency` is its median over the baseline's; `served`
    makes the scores that it answers, `registered` those of the model itself, of what a sound model would have said.
    """

    name: str
    what: str
    errors: float = USUAL_ERRORS
    invalid: float = 0.0
    latency: float = 1.0
    served: Callable[[Floats], Floats] = _as_registered
    registered: Callable[[Floats], Floats] = _as_registered


def log_odds(scores: Floats) -> Floats:
    """ln(p / (1 - p))."""
    odds: Floats = np.log(scores) - np.log1p(-scores)
    return odds


def overconfident(scores: Floats) -> Floats:
    """Log-odds times 1.6: right about the order, wrong about the chances."""
    spread: Floats = 1 / (1 + np.exp(-1.6 * log_odds(scores)))
    return spread


SOUND = CanaryFault("none", "the canary serves what was registered")
CANARY_FAULTS = (
    CanaryFault("broken canary", "5 % of its requests end in an error", errors=0.05),
    CanaryFault("slow canary", "its median latency is 1.2 times the baseline's", latency=1.2),
    CanaryFault("mis-calibrated canary", "the registered model's log-odds are 1.6 times too large", registered=overconfident),
)


@dataclass
class TrialLog:
    """The rows of one trial from `first` on, as far as they were asked. Everything drawn is drawn once a row."""

    first: int
    fault: CanaryFault
    random: np.random.Generator

    def __post_init__(self) -> None:
        self.baseline, self.canary, self.registered = np.empty(0), np.empty(0), np.empty(0)
        self.placed, self.control = np.empty(0, bool), np.empty(0, bool)
        self.baseline_failed, self.canary_failed, self.canary_invalid = (np.empty(0, bool) for _ in range(3))
        self.latency = np.empty(0)

    def ask(self, baseline: Floats, canary: Floats, placed: NDArray[np.bool_], control: NDArray[np.bool_]) -> None:
        """Further rows: scores of both registered models [n], which ones the canary answers, which the control arm."""
        n, fault = len(baseline), self.fault
        registered = fault.registered(canary)
        drawn, noise = self.random.random((3, n)), self.random.normal(size=n)
        median = np.where(placed, fault.latency, 1.0)
        for name, more in {
            "baseline": baseline,
            "registered": registered,
            "canary": fault.served(registered),
            "placed": placed,
            "control": control,
            "baseline_failed": drawn[0] < USUAL_ERRORS,
            "canary_failed": drawn[1] < fault.errors,
            "canary_invalid": drawn[2] < fault.invalid,
            "latency": median * np.exp(LATENCY_SPREAD * noise),
        }.items():
            setattr(self, name, np.concatenate([getattr(self, name), more]))

    @property
    def canary_requests(self) -> int:
        """Requests that the canary was to answer so far."""
        return int(self.placed.sum())

    def answers(self, last: int) -> Floats:
        """Scores that the callers of the `last` rows got: a canary that fails is answered for by the baseline."""
        sound = ~(self.canary_failed | self.canary_invalid)
        return np.where(self.placed & sound, self.canary, self.baseline)[len(self.baseline) - last :]

    def evidence(self, labels: Floats) -> Evidence:
        """What is known of the trial when the labels [m] of its first m rows are."""
        both = ~(self.baseline_failed | self.canary_failed | self.canary_invalid)
        known = np.zeros(len(both), bool)
        known[: len(labels)] = both[: len(labels)]
        truth = labels[both[: len(labels)]]
        # The baseline serves what was registered, so that the difference of the differences is the canary's alone.
        shift = (log_odds(self.canary) - log_odds(self.registered))[both]
        placed = self.placed
        return Evidence(
            errors=(self.canary_failed.astype(float) - self.baseline_failed)[placed],
            invalid_outputs=self.canary_invalid[placed].astype(float),
            score_shift=np.clip(shift, -1, 1),
            latency=latency_blocks(self.latency[placed & ~self.canary_failed], self.latency[self.control]),
            loss=brier_differences(truth, self.baseline[known], self.canary[known]),
        )


def latency_blocks(canary: Floats, control: Floats) -> Floats:
    """Chance that a canary request is the slower one, beyond one half and doubled, of each BLOCK against BLOCK in time."""
    blocks = min(len(canary), len(control)) // BLOCK
    ours, theirs = (x[: blocks * BLOCK].reshape(blocks, BLOCK) for x in (canary, control))
    slower: Floats = np.sign(ours[:, :, None] - theirs[:, None, :]).mean(axis=(1, 2))
    return slower
