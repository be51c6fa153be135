"""What is usual for a model: thresholds fitted to past windows that it had not learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.health.policy import ThresholdPolicy, shipped_health_policy
from orchestration.health.windows import WindowHealth


@dataclass(frozen=True)
class HealthThresholds:
    """A window is bad above one of these: `surprise` in nats a row, `bias` as |mean score - share of label 1|.

    `windows` counts the past windows that they were fitted to; `enough` says whether that is as many as the policy asks
    for. Where they are too few, the floors stand here, and nothing may be judged by them.
    """

    surprise: float
    bias: float
    windows: int
    enough: bool


def fitted_thresholds(past: Sequence[WindowHealth], policy: ThresholdPolicy | None = None) -> HealthThresholds:
    """The policy's quantile of the surprise and of the absolute calibration bias of `past`, with the policy's floors.

    Args:
        past: windows as long as those to be judged, out of sample: weeks of the hold-out, and weeks of the training window
            scored by models that were trained on what lay before them.
        policy: the shipped one where None.
    """
    policy = policy or shipped_health_policy().thresholds
    if len(past) < policy.fewest_windows:
        return HealthThresholds(policy.least_surprise, policy.least_bias, len(past), enough=False)
    surprise = float(np.quantile([window.surprise for window in past], policy.quantile))
    bias = float(np.quantile([abs(window.calibration_bias) for window in past], policy.quantile))
    return HealthThresholds(max(surprise, policy.least_surprise), max(bias, policy.least_bias), len(past), enough=True)
