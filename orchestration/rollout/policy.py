"""The numbers that rollout decisions rest on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """`alpha_fail` and `alpha_pass` bound the share of innocent canaries ever failed and of bad ones ever passed.

    They hold for one trial, however often it is judged: a trial is one generation of the rollout state, and all of its
    evidence counts. Starting a canary again is a new trial with its own error rates.


    `delta` is the loss in Brier score (0 to 1) that a passing canary has been shown not to have.
    """

    alpha_fail: float = 0.01
    alpha_pass: float = 0.05
    delta: float = 0.01


POLICY = Policy()
