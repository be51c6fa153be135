"""The drift rules of the textbooks, to count how often they would have called: a week against a fixed reference.

Nothing here decides anything: orchestration/drift and orchestration/health do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestration.drift.psi import psi

ALPHA = 0.05
PSI_ALARM = 0.2
# Evidently's default for numbers of more than 1,000 rows: Wasserstein distance over the reference's standard deviation.
WASSERSTEIN_ALARM = 0.1
SHARE_ALARM = 0.5

RULES = ("KS, Bonferroni", "KS, Benjamini-Hochberg", "PSI > .2 in any feature", "half of the features, Wasserstein > .1")
Columns = Sequence[NDArray[np.floating]]


def alarms(reference: Columns, current: Columns) -> dict[str, bool]:
    """Which rule calls the window drifted. Both hold one array a feature without NaN, and a value at least.

    KS: two-sample Kolmogorov-Smirnov tests at ALPHA over all features, with Bonferroni's correction, or Benjamini and
    Hochberg's (JRSS-B 57, 1995).
    """
    from scipy.stats import wasserstein_distance

    pairs = list(zip(reference, current, strict=True))
    p_values = np.array([ks_p_value(a, b) for a, b in pairs])
    far = [wasserstein_distance(a, b) / max(float(np.std(a)), 0.001) >= WASSERSTEIN_ALARM for a, b in pairs]
    found = (
        bool((p_values < ALPHA / len(p_values)).any()),
        benjamini_hochberg(p_values),
        any(psi(a, b) > PSI_ALARM for a, b in pairs),
        float(np.mean(far)) >= SHARE_ALARM,
    )
    return dict(zip(RULES, found, strict=True))


def ks_p_value(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Asymptotic p-value of the two-sample Kolmogorov-Smirnov test."""
    from scipy.stats import ks_2samp

    return float(ks_2samp(a, b, method="asymp").pvalue)


def benjamini_hochberg(p_values: NDArray[np.float64]) -> bool:
    """Whether the procedure rejects any hypothesis at false discovery rate ALPHA."""
    ranks = np.arange(1, len(p_values) + 1)
    return bool((np.sort(p_values) <= ALPHA * ranks / len(p_values)).any())
