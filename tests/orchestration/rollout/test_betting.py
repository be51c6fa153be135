"""The error rates of the tests by betting, by simulation."""

import math

import numpy as np
import pytest

from orchestration.rollout.betting import (
    EVERY,
    FIRST,
    GRID,
    log_capital,
    log_capital_of_failures,
    log_capital_two_sided,
)

RUNS, ROWS, ALPHA = 1000, 800, 0.05


def ever(log_capitals: np.ndarray, alpha: float = ALPHA) -> float:
    """The share of runs, shape [runs, rows], that ever reach 1 / alpha."""
    return float((log_capitals.max(axis=-1) >= -math.log(alpha)).mean())


def two_points(rng: np.random.Generator, mean: float, size: float = 1.0) -> np.ndarray:
    """Rows of -size and size with this mean: the distribution that is hardest on a test of bounded means."""
    return rng.choice([-size, size], size=(RUNS, ROWS), p=[0.5 - mean / 2 / size, 0.5 + mean / 2 / size])


@pytest.mark.parametrize("from_any_row", [False, True])
@pytest.mark.parametrize("at_most", [0.0, 0.05, -0.1])
def test_a_mean_at_the_bound_is_rejected_in_at_most_alpha_of_runs_however_often_it_is_looked_at(
    at_most: float, from_any_row: bool
) -> None:
    rejected = ever(log_capital(two_points(np.random.default_rng(7), at_most), at_most, from_any_row=from_any_row))
    assert 0.01 <= rejected <= ALPHA + 0.02


@pytest.mark.parametrize("mean", [-0.05, 0.05])
def test_both_ends_of_the_tolerance_are_rejected_in_at_most_alpha_of_runs(mean: float) -> None:
    capital = log_capital_two_sided(two_points(np.random.default_rng(11), mean), 0.05)
    assert 0.005 <= ever(capital) <= ALPHA + 0.02


def test_dependence_between_rows_does_no_harm_while_each_mean_holds() -> None:
    """The sizes of the rows follow what came before: after losses they grow."""
    rng = np.random.default_rng(13)
    signs = rng.choice([-1.0, 1.0], size=(RUNS, ROWS))
    sizes = np.where(np.cumsum(signs, axis=1) < 0, 1.0, 0.2)
    sizes = np.concatenate([np.ones((RUNS, 1)), sizes[:, :-1]], axis=1)
    assert ever(log_capital(signs * sizes, 0.0)) <= ALPHA + 0.02


def test_a_mean_beyond_the_bound_is_found() -> None:
    rng = np.random.default_rng(17)
    assert ever(log_capital(two_points(rng, 0.2), 0.0)) > 0.95
    assert ever(log_capital_two_sided(two_points(rng, -0.25), 0.05)) > 0.95


def test_the_capital_is_the_mean_over_the_bets_and_is_never_ruined() -> None:
    expected = np.mean([(1 - b) * (1 + 0.5 * b) for b in GRID])
    assert math.exp(log_capital(np.array([-1.0, 0.5]), 0.0)[-1]) == pytest.approx(expected)
    assert np.isfinite(log_capital(np.full(5000, -1.0), 0.3)).all()


def test_from_any_row_is_the_weighted_mean_of_tests_that_start_later() -> None:
    x = np.random.default_rng(23).uniform(-1, 1, 5 * EVERY + 7)
    after = [EVERY * start for start in range(6)]
    weights = [FIRST] + [(1 - FIRST) / (j * (j + 1)) for j in range(1, 6)]
    for n in (1, EVERY, EVERY + 1, 3 * EVERY, len(x)):
        started = [math.exp(log_capital(x[at:n], 0.1)[-1]) if at < n else 1.0 for at in after]
        expected = np.dot(weights, started) + 1 - sum(weights)
        assert math.exp(log_capital(x[:n], 0.1, from_any_row=True)[-1]) == pytest.approx(expected), n


def test_what_breaks_after_a_long_good_time_is_found_nearly_as_soon_as_what_was_broken_from_the_start() -> None:
    rng = np.random.default_rng(37)
    good = 5000
    x = np.concatenate([rng.uniform(-0.1, 0.1, (200, good)), two_points(rng, 0.5)[:200]], axis=-1)
    bound = math.log(200)
    assert (log_capital(x, 0.05)[:, good + 300] < bound).all(), "what was lost before hides it"
    assert (log_capital(x, 0.05, from_any_row=True)[:, good + 300] >= bound).mean() > 0.95


def test_failures_that_begin_late_are_found() -> None:
    rng = np.random.default_rng(41)
    x = np.concatenate([np.zeros((200, 5000)), (rng.random((200, 600)) < 0.05).astype(float)], axis=-1)
    assert ever(log_capital_of_failures(x, TOLERATED, EXCUSED), LEVEL) > 0.95


@pytest.mark.parametrize("from_any_row", [False, True])
def test_runs_side_by_side_are_as_each_alone(from_any_row: bool) -> None:
    runs = np.random.default_rng(19).uniform(-1, 1, (3, 150))
    together = log_capital(runs, 0.1, from_any_row=from_any_row)
    for run, alone in zip(together, runs, strict=True):
        assert run == pytest.approx(log_capital(alone, 0.1, from_any_row=from_any_row))


@pytest.mark.parametrize("bad", [-1.5, 1.5, math.nan, math.inf])
def test_a_difference_that_could_ruin_it_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
        log_capital(np.array([0.0, bad]), 0.0)


TOLERATED, LEVEL, LOOSER = 0.002, 0.01, 0.15
EXCUSED = math.log(LOOSER / LEVEL)


def failing(rng: np.random.Generator, canary: float, baseline: float, runs: int = RUNS, rows: int = 3000) -> np.ndarray:
    return (rng.random((runs, rows)) < canary).astype(float) - (rng.random((runs, rows)) < baseline)


def test_a_canary_that_fails_as_much_as_is_tolerated_is_convicted_in_at_most_alpha_of_runs() -> None:
    """The baseline never fails, which is the hardest."""
    rng = np.random.default_rng(23)
    capital = log_capital_of_failures(failing(rng, TOLERATED, 0.0, runs=600, rows=8000), TOLERATED, EXCUSED)
    assert ever(capital, LEVEL) <= LEVEL + 0.01


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_trouble_that_both_have_convicts_in_at_most_the_looser_share_of_runs(share: float) -> None:
    capital = log_capital_of_failures(failing(np.random.default_rng(29), share, share), TOLERATED, EXCUSED)
    assert 0.02 <= ever(capital, LEVEL) <= LOOSER + 0.02


def test_a_canary_that_fails_alone_is_convicted_soon() -> None:
    capital = log_capital_of_failures(failing(np.random.default_rng(31), 0.012, 0.002), TOLERATED, EXCUSED)
    assert np.median((capital >= -math.log(LEVEL)).argmax(axis=1)) < 600


def test_where_failures_are_refused_a_difference_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
        log_capital_of_failures(np.array([2.0]), TOLERATED, EXCUSED)
