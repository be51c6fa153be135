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
# Of the scaled KS distance; its p-value is 1 to six digits.
SMALLEST_DISTANCE = 0.3

RULES = (
    "KS, Bonferroni",
    "KS, Benjamini-Hochberg",
    "PSI > .2 in any feature",
    "half of the features, Wasserstein > .1",
)
Column = NDArray[np.floating]
Columns = Sequence[Column]


def alarms(reference: Columns, current: Columns) -> dict[str, bool]:
    """Which rule calls the window drifted. Both hold one array a feature without NaN, and a value at least.

    KS: two-sample Kolmogorov-Smirnov tests at ALPHA over all features, with Bonferroni's correction, or Benjamini and
    Hochberg's (JRSS-B 57, 1995).
    """
    pairs = list(zip(reference, current, strict=True))
    p_values = np.array([ks_p_value(a, b) for a, b in pairs])
    far = [wasserstein(a, b) / max(float(np.std(a)), 0.001) >= WASSERSTEIN_ALARM for a, b in pairs]
    found = (
        bool((p_values < ALPHA / len(p_values)).any()),
        benjamini_hochberg(p_values),
        any(psi(a, b) > PSI_ALARM for a, b in pairs),
        float(np.mean(far)) >= SHARE_ALARM,
    )
    return dict(zip(RULES, found, strict=True))


def ks_p_value(a: Column, b: Column) -> float:
    """Asymptotic p-value of the two-sample Kolmogorov-Smirnov test: N. Smirnov, Annals of Mathematical Statistics 19, 1948."""
    _, of_a, of_b = _distributions(a, b)
    distance = float(np.abs(of_a - of_b).max())
    scaled = distance * np.sqrt(len(a) * len(b) / (len(a) + len(b)))
    if scaled < SMALLEST_DISTANCE:  # where the series converges slowly, and to 1
        return 1.0
    k = np.arange(1, 101)
    return float(np.clip(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * (k * scaled) ** 2)), 0, 1))


def wasserstein(a: Column, b: Column) -> float:
    """Area between the two distribution functions, in the columns' unit."""
    values, of_a, of_b = _distributions(a, b)
    return float(np.abs(of_a - of_b)[:-1] @ np.diff(values))


def _distributions(a: Column, b: Column) -> tuple[Column, Column, Column]:
    """All values in order, and the share of each sample at or below them."""
    values = np.unique(np.concatenate([a, b]).astype(np.float64))
    of_a, of_b = (np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (a, b))
    return values, of_a, of_b


def benjamini_hochberg(p_values: NDArray[np.float64]) -> bool:
    """Whether the procedure rejects any hypothesis at false discovery rate ALPHA."""
    ranks = np.arange(1, len(p_values) + 1)
    return bool((np.sort(p_values) <= ALPHA * ranks / len(p_values)).any())
