"""When a trial is decided, looked at after every row: by the functions that judge, on many runs side by side."""

import numpy as np
from numpy.typing import NDArray

from orchestration.rollout.betting import Floats
from orchestration.rollout.policy import CriterionName, EvidencePolicy
from orchestration.rollout.verdict import fail_capital, pass_capitals
from serving_gateway.control.reflex import TripPolicy


def first(reached: NDArray[np.bool_]) -> Floats:
    """The number of rows after which each run first holds, of shape [..., n]; infinite where it never does."""
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1.0, np.inf)


def failed_after(name: CriterionName, differences: Floats, policy: EvidencePolicy) -> Floats:
    """Rows after which one test convicts, of differences of shape [..., n]."""
    return first(fail_capital(name, differences, policy) >= -np.log(policy.alpha_of(name)))


def passed_after(name: CriterionName, differences: Floats, policy: EvidencePolicy) -> Floats:
    """Rows after which one test passes, of differences of shape [..., n]: all of its sides have got there."""
    sides = [first(side >= -np.log(policy.alpha_pass)) for side in pass_capitals(name, differences, policy)]
    found: Floats = np.max(sides, axis=0)
    return found


def tripped_after(failed: NDArray[np.bool_], policy: TripPolicy) -> Floats:
    """Requests after which a gateway's reflex stops the canary, of outcomes of shape [..., n].

    The same sum as `serving_gateway.control.reflex.Evidence` keeps, which is never below 0, for whole runs at once: S_n -
    min over m <= n of S_m, with S_0 = 0.
    """
    total = np.cumsum(np.where(failed, policy.failed, policy.succeeded), axis=-1)
    lowest = np.minimum(np.minimum.accumulate(total, axis=-1), 0.0)
    return first(total - lowest >= policy.limit)
