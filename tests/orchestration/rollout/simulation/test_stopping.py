"""The simulation stops where a trial would have been judged, and where a gateway would have tripped."""

import numpy as np
import pytest

from orchestration.rollout.evidence import Evidence
from orchestration.rollout.policy import CriterionName, shipped_policy
from orchestration.rollout.simulation.stopping import failed_after, first, passed_after, tripped_after
from orchestration.rollout.verdict import CRITERIA, judge_criterion
from serving_gateway.control.reflex import Evidence as Reflex
from serving_gateway.control.reflex import TripPolicy

POLICY = shipped_policy().evidence


def outcome(name: CriterionName, differences: np.ndarray) -> str:
    return judge_criterion(name, Evidence(**{name: differences}), POLICY).outcome  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CRITERIA)
def test_the_verdict_turns_at_the_very_row(name: CriterionName) -> None:
    rng = np.random.default_rng(7)
    bad, good = rng.choice([0.0, 1.0], (3, 200)), rng.choice([-0.1, 0.1], (3, 9000), p=[0.55, 0.45])
    if name == "score_shift":
        good = np.abs(good) * rng.choice([-1, 1], good.shape)
    for differences, after, decided in ((bad, failed_after, "fail"), (good, passed_after, "pass")):
        stops = after(name, differences, POLICY)
        assert np.isfinite(stops).all()
        for run, stop in zip(differences, stops.astype(int), strict=True):
            assert outcome(name, run[: stop - 1]) == "inconclusive"
            assert outcome(name, run[:stop]) == decided


@pytest.mark.parametrize("share", [0.002, 0.05, 0.4])
def test_the_reflex_stops_at_the_very_request(share: float) -> None:
    policy = TripPolicy()
    failed = np.random.default_rng(11).random((20, 600)) < share
    for run, stop in zip(failed, tripped_after(failed, policy), strict=True):
        reflex = Reflex(policy)
        tripped = next((n for n, f in enumerate(run, 1) if reflex.add(failed=bool(f))), np.inf)
        assert stop == tripped


def test_what_never_holds_is_infinite() -> None:
    assert first(np.array([[False, False], [False, True], [True, False]])).tolist() == [np.inf, 2, 1]
