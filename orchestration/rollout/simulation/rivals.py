"""What others do, on the same runs: a z-test looked at after every request, Kolmogorov-Smirnov in windows, fixed windows.

Each compares the canary's rows with the control arm's, as tools without a reverse shadow have to.
"""

import numpy as np
from numpy.typing import NDArray

from orchestration.rollout.betting import Floats
from orchestration.rollout.simulation.stopping import first

LEVEL = 0.05
Z_ONE_SIDED, Z_TWO_SIDED = 1.6449, 1.9600  # of LEVEL
FIRST_LOOK = 30  # rows of either arm before the first z-test
WINDOW = 200  # rows of either arm in a window of Kolmogorov-Smirnov
# Flagger's canary analysis: an interval's share of successful requests below 99 % is a failed check, and the fifth rolls
# back (https://docs.flagger.app/usage/how-it-works: `request-success-rate`, `threshold`). An interval is a minute here.
SUCCESS_RATE, FAILED_CHECKS, REQUESTS_A_MINUTE = 0.99, 5, 60


def z_after(canary: Floats, control: Floats, *, two_sided: bool = False) -> Floats:
    """Rows after which a z-test of the two means, of shape [..., n], first rejects; looked at after each from FIRST_LOOK on."""
    z = _z_scores(canary, control)[..., FIRST_LOOK - 1 :]
    reached = np.abs(z) >= Z_TWO_SIDED if two_sided else z >= Z_ONE_SIDED
    return first(reached) + FIRST_LOOK - 1


def z_at_end(canary: Floats, control: Floats) -> bool:
    """Whether a single two-sided z-test of the two means rejects; shapes [n] and [m]."""
    error = np.sqrt(canary.var() / len(canary) + control.var() / len(control))
    return bool(abs(canary.mean() - control.mean()) >= Z_TWO_SIDED * error)


def ks_after(canary: Floats, control: Floats) -> Floats:
    """Rows after which a two-sample Kolmogorov-Smirnov test first rejects in a window of WINDOW rows; shape [..., n]."""
    windows = canary.shape[-1] // WINDOW
    shape = (*canary.shape[:-1], windows, WINDOW)
    both = np.concatenate([side[..., : windows * WINDOW].reshape(shape) for side in (canary, control)], axis=-1)
    steps = np.where(np.argsort(both, axis=-1) < WINDOW, 1.0, -1.0)
    distance = np.abs(np.cumsum(steps, axis=-1)).max(axis=-1) / WINDOW
    critical = np.sqrt(-np.log(LEVEL / 2) / 2) * np.sqrt(2 / WINDOW)  # the asymptotic distribution of the distance
    return first(distance >= critical) * WINDOW


def flagger_after(failed: NDArray[np.bool_]) -> Floats:
    """Requests after which the fifth check has failed, of outcomes of shape [..., n]."""
    minutes = failed.shape[-1] // REQUESTS_A_MINUTE
    shape = (*failed.shape[:-1], minutes, REQUESTS_A_MINUTE)
    bad = 1 - failed[..., : minutes * REQUESTS_A_MINUTE].reshape(shape).mean(axis=-1) < SUCCESS_RATE
    return first(np.cumsum(bad, axis=-1) >= FAILED_CHECKS) * REQUESTS_A_MINUTE


def _z_scores(canary: Floats, control: Floats) -> Floats:
    n = np.arange(1, canary.shape[-1] + 1)

    def moments(x: Floats) -> tuple[Floats, Floats]:
        mean = np.cumsum(x, axis=-1) / n
        return mean, np.maximum(np.cumsum(x**2, axis=-1) / n - mean**2, 0.0)

    (mean, variance), (other, others) = moments(canary), moments(control)
    error = np.sqrt((variance + others) / n)
    return np.divide(mean - other, error, out=np.zeros_like(error), where=error > 0)
