"""Anytime-valid tests by betting: they may be looked at after every row without raising the error rate.

Source: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024,
section 4.1 (capital process) and section 5.6 (mixing the capital over a grid of bets).
"""

import numpy as np
from numpy.typing import NDArray

GRID = np.array([0.05, 0.1, 0.2, 0.4, 0.6, 0.8])


def capital(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """The e-process against H0: the mean of each difference, given those before it, is at most 0.

    Args:
        differences: shape [n], in the order they became known; every value at least -1.

    Returns:
        Shape [n]: the capital after each row, the mean over the bets b of GRID of prod(1 + b x_i).
        Under H0 the chance that it ever reaches 1 / alpha is at most alpha (Ville's inequality).

    Raises:
        ValueError: a difference is below -1 or not finite.
    """
    x = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(x).all() or (x < -1).any():
        raise ValueError("differences must be finite and at least -1")
    log_capital = np.cumsum(np.log1p(np.outer(GRID, x)), axis=1)
    # Far beyond any threshold the exact amount says nothing more; the cap keeps exp() finite.
    result: NDArray[np.float64] = np.exp(np.minimum(log_capital, 700.0)).mean(axis=0)
    return result
