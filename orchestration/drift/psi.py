"""The population stability index as Evidently computes it, fast enough for every column of every past window."""

import numpy as np
from numpy.typing import NDArray

# A column with no more distinct values in the reference is compared value by value.
FEW_VALUES = 20


def psi(reference: NDArray[np.floating], current: NDArray[np.floating]) -> float:
    """PSI, >= 0, of two samples of one numeric column; each holds a value at least, and no NaN.

    Sum over bins of (p - q) ln(p / q). The bins are Sturges' over both samples together, or the values themselves where
    the reference has few. An empty bin counts as 1e-4, or as a millionth of the smallest other where that is smaller.
    Evidently 0.7 does so: `evidently.legacy.calculations.stattests.psi`.
    """
    both = np.concatenate([reference, current])
    if len(np.unique(reference)) > FEW_VALUES:
        edges = np.histogram_bin_edges(both, bins="sturges")
        p, q = (np.histogram(sample, edges)[0] / len(sample) for sample in (reference, current))
    else:
        values, of = np.unique(both, return_inverse=True)
        p, q = (np.bincount(i, minlength=len(values)) / len(i) for i in (of[: len(reference)], of[len(reference) :]))
    p, q = _filled(p), _filled(q)
    return float(np.sum((p - q) * np.log(p / q)))


def _filled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    smallest = shares[shares > 0].min()
    return np.where(shares == 0, smallest / 1e6 if smallest <= 1e-4 else 1e-4, shares)
