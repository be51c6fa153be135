"""The simulated log through production's evidence: a sound canary has none against it, a faulty one shows where it should."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from orchestration.backtest.trial_log import CANARY_FAULTS, SOUND, CanaryFault, TrialLog, overconfident
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.pairing import Pair
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.verdict import judge
from tests.orchestration.backtest.synthetic_world import world_of

START = datetime(2013, 6, 1, tzinfo=UTC)
N = 6000
CHANCES = np.random.default_rng(1).beta(1.0, 3.0, N).clip(0.01, 0.99)
WORLD = world_of(START, CHANCES)
NOW = START + timedelta(days=30)


def log_of(fault: CanaryFault, rows: int = N) -> tuple[TrialLog, Evidence, np.ndarray]:
    log = TrialLog(WORLD, 0, Pair("old", "new"), fault, np.random.default_rng(8))
    arms = np.array(["canary", "control", "baseline", "baseline"])[np.arange(rows) % 4]
    noise = 1 / (1 + np.exp(-np.log(CHANCES / (1 - CHANCES)) - np.random.default_rng(2).normal(0, 0.2, N)))
    half = rows // 2
    answers = [
        log.ask(rows_, noise[rows_], CHANCES[rows_], arms[rows_]) for rows_ in (slice(0, half), slice(half, rows))
    ]
    return log, log.evidence(NOW), np.concatenate(answers)


def test_a_sound_canary_serves_what_is_registered() -> None:
    log, evidence, answers = log_of(SOUND)
    assert np.abs(evidence.score_shift).max() < 1e-9
    assert log.canary_requests == N // 4
    assert len(evidence.errors) > 0.95 * log.canary_requests
    assert len(evidence.loss) > 0.98 * N
    assert (answers[::4] == CHANCES[::4]).mean() > 0.99
    assert judge(evidence, shipped_policy().evidence).outcome != "fail"


def test_labels_count_once_they_are_mature() -> None:
    log, _, _ = log_of(SOUND)
    now = START + timedelta(hours=10)
    assert 0.97 * WORLD.matured_by(now) < len(log.evidence(now).loss) <= WORLD.matured_by(now) < N


def test_nothing_logged_is_no_evidence() -> None:
    log = TrialLog(WORLD, 0, Pair("old", "new"), SOUND, np.random.default_rng(8))
    assert judge(log.evidence(NOW), shipped_policy().evidence).outcome == "inconclusive"


@pytest.mark.parametrize(("fault", "criterion"), list(zip(CANARY_FAULTS, ("errors", "latency", "loss"), strict=True)))
def test_a_faulty_canary_is_failed_by_what_it_is_faulty_in(fault: CanaryFault, criterion: str) -> None:
    _, evidence, _ = log_of(fault)
    verdict = judge(evidence, shipped_policy().evidence)
    assert [c.name for c in verdict.criteria if c.outcome == "fail"] == [criterion]


def test_a_canary_that_fails_is_answered_for_by_the_baseline() -> None:
    _, _, sound = log_of(SOUND)
    _, _, broken = log_of(CanaryFault("all", "", errors=1.0))
    assert (broken[::4] != CHANCES[::4]).all()
    assert (broken[1::4] == sound[1::4]).all()


def test_an_overconfident_canary_keeps_the_order_of_its_scores() -> None:
    scores = np.array([0.01, 0.2, 0.5, 0.9])
    moved = overconfident(scores)
    assert (np.diff(moved) > 0).all()
    assert moved[0] < 0.01
    assert moved[2] == pytest.approx(0.5)
    assert moved[3] > 0.9
