"""Are two float32 values the same? The one rule that every comparison here follows."""

import numpy as np
from numpy.typing import NDArray

from orchestration.features.skew.policy import RELATIVE_TOLERANCE

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]


def exact(served: Values, offline: Values) -> Mask:
    """Where the values are the same bit for bit, or both NaN."""
    bits = served.view(np.uint32) == offline.view(np.uint32)
    same: Mask = bits | (np.isnan(served) & np.isnan(offline))
    return same


def equal(served: Values, offline: Values) -> Mask:
    """Where the values are the same, within RELATIVE_TOLERANCE of the larger one; a NaN is like nothing but a NaN."""
    one, other = served.astype(np.float64), offline.astype(np.float64)
    with np.errstate(invalid="ignore"):  # inf - inf is nan: not near, and exact where both are the same
        near = np.abs(one - other) <= RELATIVE_TOLERANCE * np.maximum(np.abs(one), np.abs(other))
    same: Mask = exact(served, offline) | (near & np.isfinite(one) & np.isfinite(other))
    return same
