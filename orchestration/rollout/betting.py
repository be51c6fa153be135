"""Anytime-valid tests by betting: they may be looked at after every row without raising the error rate.

Source: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024,
section 4.1 (capital process) and section 5.6 (mixing the capital over a grid of bets).

A model may be good for a week and break then. Capital that was lost in the good week would hide that for long, so part of
the stake waits for later starts, as in J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric framework for
sequential change detection", NEJSDS 2024. Theirs weigh 1 each, which bounds the time between false alarms; ours sum to 1,
so that the whole is still an e-process and bounds the chance of any.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

GRID = (0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
# Of failures: how many times the tolerated share each bet supposes. What fails more grossly is the reflex's.
RATIOS = (3.0, 6.0)
# The bet on canary against baseline where one of them failed: best where the canary fails some six times as often.
_BET_ON_EITHER = 0.7
# Of the stake of a test against "no worse": this share is bet from the first row on, the rest from each EVERY-th row on, with
# weights that fall as 1 / (j (j + 1)). A break after j times EVERY rows is found some log(j (j + 1) / .1) of log-capital late.
FIRST = 0.9
EVERY = 64
# So far beyond any bound the exact log-capital says nothing more; exp() of it is finite and not 0.
_FAR = 700.0

Floats = NDArray[np.float64]


def log_capital(differences: Floats, at_most: float, *, from_any_row: bool = False) -> Floats:
    """The e-process against H0: the mean of each difference, given those before it, is at most `at_most`.

    Args:
        differences: shape [..., n], in the order they became known along the last axis; every value in [-1, 1].
        at_most: in (-1, 1). With both signs turned, the same is the test of "at least".
        from_any_row: whether what begins late is found too (see above); else every bet is on all rows.

    Returns:
        Shape [..., n]: the natural logarithm of the capital after each row. The capital is the mean over the bets b of
        GRID of prod(1 + b y_i) with y = (x - at_most) / (1 + at_most), which is scaled so that y never falls below -1
        and no bet of less than 1 can be ruined. Under H0 the chance that the capital ever reaches 1 / alpha is at most
        alpha (Ville's inequality).

    Raises:
        ValueError: a difference is outside [-1, 1] or not finite.
    """
    x = np.asarray(differences, dtype=np.float64)
    if not bounded(x):
        raise ValueError("differences must be finite and in [-1, 1]")
    y = (x - at_most) / (1 + at_most)
    return _mixed((np.log1p(bet * y) for bet in GRID), from_any_row=from_any_row)


def log_capital_two_sided(differences: Floats, within: float) -> Floats:
    """The e-process against H0: the mean of each difference, given those before it, is in [-within, within], from any row.

    The mean of the capitals of both sides. It reaches 1 / alpha where one side by itself reaches 2 / alpha, or earlier:
    half of alpha for each side.
    """
    x = np.asarray(differences, dtype=np.float64)
    above, below = (log_capital(side, within, from_any_row=True) for side in (x, -x))
    both: Floats = np.logaddexp(above, below) - np.log(2)
    return both


def log_capital_of_failures(differences: Floats, tolerated: float, excused: float) -> Floats:
    """The log-capital, from any row, against an innocent canary's failures, of two kinds; it has to refute both.

    A canary is innocent where its row fails alone (1) with a chance of at most `tolerated`, whatever came before; and also
    where it fails alone no more often than the baseline does (-1), as in trouble that both have, however often that is.

    Against the first, capital grows by the ratio of the likelihoods of a share of `tolerated` and of RATIOS times that: bets
    of up to 1 / tolerated, for a row that is 0 or 1 loses no more than `tolerated`. Against the second no bet above 1 is
    safe, and from pairs alone .2 % and 1.2 % cannot be told apart in less than some 1,200 requests at an alpha of .01: so
    it is held to the looser level that `excused` says.

    Args:
        differences: shape [..., n], of -1, 0 and 1.
        tolerated: in (0, 1 / 6).
        excused: logarithm of (level of the second kind / level of the first).

    Returns:
        Shape [..., n]: the smaller of the two log-capitals, the second with `excused` added. For the first kind of innocents
        the chance that it ever reaches log(1 / alpha) is at most alpha, for the second alpha times exp(excused).

    Raises:
        ValueError: a difference is outside [-1, 1] or not finite.
    """
    x = np.asarray(differences, dtype=np.float64)
    if not bounded(x):
        raise ValueError("differences must be finite and in [-1, 1]")
    alone = x > 0
    succeeded = [np.log((1 - ratio * tolerated) / (1 - tolerated)) for ratio in RATIOS]
    shares = (np.where(alone, np.log(ratio), log) for ratio, log in zip(RATIOS, succeeded, strict=True))
    by_share = _mixed(shares, from_any_row=True)
    either = _mixed([np.log1p(_BET_ON_EITHER * x)], from_any_row=True)
    both: Floats = np.minimum(by_share, either + excused)
    return both


def _mixed(growths: Iterable[Floats], *, from_any_row: bool) -> Floats:
    """Logarithm of the mean of the capitals whose logarithms grow so from row to row."""
    bets = 0
    total: Floats = np.zeros(())
    for growth in growths:
        logs = np.cumsum(growth, axis=-1)
        total = total + (_from_any_row(logs, growth) if from_any_row else _exp(logs))
        bets += 1
    mean: Floats = np.log(total / bets)
    return mean


def _from_any_row(logs: Floats, growth: Floats) -> Floats:
    """The capital of a bet on the rows from each start on, FIRST and EVERY; what waits for later starts lies idle.

    Args:
        logs: shape [..., n], the log-capital of the bet on all rows: the running sum of `growth`.
        growth: shape [..., n].
    """
    later = np.arange(1, -(-logs.shape[-1] // EVERY))
    weights = np.concatenate([[FIRST], (1 - FIRST) / (later * (later + 1.0))])
    before = (logs - growth)[..., ::EVERY]  # when each start bets for the first time
    started = np.logaddexp.accumulate(np.log(weights) - before, axis=-1)
    which = np.arange(logs.shape[-1]) // EVERY
    idle = np.maximum(1 - np.cumsum(weights), 0.0)
    running: Floats = _exp(logs + started[..., which]) + idle[which]
    return running


def _exp(logs: Floats) -> Floats:
    capital: Floats = np.exp(np.clip(logs, -_FAR, _FAR))
    return capital


def bounded(differences: Floats) -> bool:
    """Whether every difference is finite and in [-1, 1]: only on such the tests hold."""
    return bool((np.abs(differences) <= 1).all())  # a NaN compares false
