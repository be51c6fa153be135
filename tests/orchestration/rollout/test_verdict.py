"""The verdict's error rates, by simulation, and its table of outcomes."""

import math

import numpy as np
import pytest

from orchestration.rollout.eprocess import capital
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.verdict import judge

POLICY = shipped_policy().evidence


def world(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """True probabilities like delays' (beta with mean 0.25) and the labels they give."""
    truth = rng.beta(1.2, 3.6, rows)
    return truth, (rng.random(rows) < truth).astype(float)


def noisy(rng: np.random.Generator, truth: np.ndarray, scale: float) -> np.ndarray:
    """A model whose logits are off by seeded noise of this scale."""
    logit = np.log(truth / (1 - truth)) + rng.normal(0, scale, len(truth))
    return 1 / (1 + np.exp(-logit))


def test_an_equally_good_canary_is_failed_in_at_most_alpha_of_runs() -> None:
    rng = np.random.default_rng(7)
    failed = 0
    for _ in range(600):
        truth, labels = world(rng, 2000)
        failed += judge(labels, noisy(rng, truth, 0.5), noisy(rng, truth, 0.5), POLICY).outcome == "fail"
    # 600 runs watched after every row; a z-test peeked at as often fails a third of them
    assert failed / 600 <= POLICY.alpha_of("loss") + 0.01


def test_a_canary_worse_by_delta_is_passed_in_at_most_alpha_of_runs() -> None:
    rng = np.random.default_rng(11)
    passed = 0
    for _ in range(400):
        d = rng.choice(
            [-0.4, 0.4], size=2000, p=[0.5 - POLICY.tests.loss.delta / 0.8, 0.5 + POLICY.tests.loss.delta / 0.8]
        )
        passed += bool((capital(POLICY.tests.loss.delta - d) >= 1 / POLICY.alpha_pass).any())
    assert passed / 400 <= POLICY.alpha_pass + 0.02


def test_a_bad_canary_is_failed_within_a_few_hundred_rows() -> None:
    rng = np.random.default_rng(3)
    rows_needed = []
    for _ in range(100):
        truth, labels = world(rng, 3000)
        biased = 1 / (1 + np.exp(-(np.log(truth / (1 - truth)) + 1.5)))
        worse_by = (biased - labels) ** 2 - (noisy(rng, truth, 0.3) - labels) ** 2
        reached = capital(worse_by) >= 1 / POLICY.alpha_of("loss")
        assert reached.any()
        rows_needed.append(int(reached.argmax()) + 1)
    assert np.median(rows_needed) <= 300


def test_a_better_canary_passes() -> None:
    rng = np.random.default_rng(5)
    truth, labels = world(rng, 3000)
    verdict = judge(labels, noisy(rng, truth, 1.5), truth, POLICY)
    assert verdict.outcome == "pass"
    assert verdict.brier_difference < 0


def test_no_rows_never_promote() -> None:
    empty = np.array([])
    verdict = judge(empty, empty, empty, POLICY)
    assert verdict.outcome == "inconclusive"
    assert "no labelled row" in verdict.reason


def test_few_rows_are_inconclusive_and_say_how_many_more() -> None:
    labels = np.array([0.0, 0.0, 1.0, 0.0])
    verdict = judge(labels, np.full(4, 0.2), np.array([0.9, 0.9, 0.9, 0.9]), POLICY)
    assert verdict.outcome == "inconclusive"
    assert verdict.more_rows is not None
    assert verdict.more_rows > 0
    assert f"about {verdict.more_rows} more" in verdict.reason


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_that_is_no_probability_is_an_error(bad: float) -> None:
    assert judge(np.array([1.0]), np.array([0.5]), np.array([bad]), POLICY).outcome == "error"


def test_a_canary_once_shown_to_be_worse_stays_failed() -> None:
    labels = np.concatenate([np.zeros(200), np.zeros(5000)])
    canary = np.concatenate([np.full(200, 0.9), np.full(5000, 0.1)])
    assert judge(labels, np.full(5200, 0.2), canary, POLICY).outcome == "fail"


def test_capital_refuses_a_difference_that_could_bankrupt_it() -> None:
    with pytest.raises(ValueError, match="at least -1"):
        capital(np.array([-1.5]))


def test_policy_is_frozen() -> None:
    with pytest.raises(AttributeError):
        POLICY.alpha = 0.5  # type: ignore[misc]
