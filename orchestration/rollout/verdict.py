"""Is the canary worse than the baseline? State and evidence in, verdict and reason out."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestration.rollout.eprocess import capital
from orchestration.rollout.policy import EvidencePolicy

Outcome = Literal["pass", "fail", "inconclusive", "error"]


@dataclass(frozen=True)
class Verdict:
    """`e_fail` and `e_pass` are the largest capitals reached; `brier_difference` is canary minus baseline (mean).

    `more_rows` estimates how many further labelled rows an inconclusive verdict needs; None where none is due or known.
    """

    outcome: Outcome
    reason: str
    rows: int
    brier_difference: float = math.nan
    e_fail: float = 1.0
    e_pass: float = 1.0
    more_rows: int | None = None


def judge(
    labels: NDArray[np.float64], baseline: NDArray[np.float64], canary: NDArray[np.float64], policy: EvidencePolicy
) -> Verdict:
    """Compare two models on the rows that both scored, by their squared errors (the Brier score's terms).

    Args:
        labels: shape [n], 0 or 1, in the order they became known.
        baseline: shape [n], the baseline's probabilities in [0, 1].
        canary: shape [n], the canary's.
        policy: error rates and the margin of a pass.

    Returns:
        `fail` when "no worse" is rejected at `alpha_fail`; `pass` when "worse by `delta` or more" is rejected at
        `alpha_pass`; else `inconclusive`. No rows are inconclusive: absence of data never promotes. Scores outside
        [0, 1] or not finite are an `error`.
    """
    rows = len(labels)
    if rows == 0:
        return Verdict("inconclusive", "no labelled row has been scored by both arms yet", 0)
    scores = np.concatenate([baseline, canary])
    if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        return Verdict("error", "a logged score is not a probability", rows)
    alpha_fail, alpha_pass, delta = policy.alpha_of("loss"), policy.alpha_pass, policy.tests.loss.delta
    worse_by = brier_differences(labels, baseline, canary)
    mean = float(worse_by.mean())
    fail, passed = capital(worse_by), capital(delta - worse_by)
    e_fail, e_pass = float(fail.max()), float(passed.max())
    seen = f"{rows} rows scored by both arms: the canary's Brier score is {abs(mean):.4f} {'higher' if mean > 0 else 'lower'}"
    # A canary that was once shown to be worse stays failed, whatever came later.
    if e_fail >= 1 / alpha_fail:
        reason = f"{seen}; evidence {e_fail:.3g} to 1 that it is worse (bound {1 / alpha_fail:.0f})"
        return Verdict("fail", reason, rows, mean, e_fail, e_pass)
    if e_pass >= 1 / alpha_pass:
        reason = f"{seen}; evidence {e_pass:.3g} to 1 that it is not worse by {delta} (bound {1 / alpha_pass:.0f})"
        return Verdict("pass", reason, rows, mean, e_fail, e_pass)
    more = _more_rows(fail[-1], alpha_fail, passed[-1], alpha_pass, rows)
    expected = "" if more is None else f"; about {more} more are expected to decide"
    return Verdict(
        "inconclusive", f"{seen}; not enough evidence either way{expected}", rows, mean, e_fail, e_pass, more
    )


def brier_differences(
    labels: NDArray[np.float64], baseline: NDArray[np.float64], canary: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shape [n], in [-1, 1]: by how much the canary's squared error is larger than the baseline's, row by row."""
    difference: NDArray[np.float64] = (canary - labels) ** 2 - (baseline - labels) ** 2
    return difference


def _more_rows(fail: float, alpha_fail: float, passed: float, alpha_pass: float, rows: int) -> int | None:
    """Rows still to come until the first bound is reached, if log-capital keeps growing as it has."""
    waits = [
        rows * math.log(1 / (alpha * value)) / math.log(value)
        for value, alpha in ((fail, alpha_fail), (passed, alpha_pass))
        if value > 1
    ]
    return math.ceil(min(waits)) if waits else None
