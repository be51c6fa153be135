"""Which published models may go on trial by themselves."""

import pytest

from orchestration.rollout.candidates import NoCandidateError, candidates
from serving_gateway.control.steps import begin_trial, settle
from serving_gateway.control.transitions import rolled_back
from tests.orchestration.rollout.trials import BEGAN, BY, SHADOW, STABLE, arm, at_step

ENDED = rolled_back(SHADOW, **BY)
SETTLED = settle(at_step(3, 10_000), evidence="e", **BY)


def test_newer_than_the_baseline_and_untried_the_newest_first() -> None:
    published = ["m_v1", "m_v2", "m_v10", "m_v9", "m_v0", "other_v7", "m_vx", "m_v²"]
    assert candidates(published, STABLE, [STABLE]) == ["m_v10", "m_v9", "m_v2"]
    assert candidates(published, ENDED, [STABLE, SHADOW, ENDED]) == ["m_v10", "m_v9"]


@pytest.mark.parametrize("state", [SHADOW, at_step(1, 500), at_step(3, 10_000)])
def test_while_one_is_on_trial_there_is_none(state: object) -> None:
    with pytest.raises(NoCandidateError, match="m_v2 is on trial"):
        candidates(["m_v3"], state, [STABLE])  # type: ignore[arg-type]


def test_what_was_tried_is_not_tried_again_nor_what_is_served() -> None:
    with pytest.raises(NoCandidateError, match="newer than m_v1 and untried"):
        candidates(["m_v1", "m_v2"], ENDED, [STABLE, SHADOW, ENDED])
    with pytest.raises(NoCandidateError, match="newer than m_v2 and untried"):
        candidates(["m_v1", "m_v2"], SETTLED, [STABLE, SHADOW, SETTLED])
    later = begin_trial(ENDED, arm(3), weight_bp=0, shadow_fraction=1.0, event_time=BEGAN, **BY)
    with pytest.raises(NoCandidateError, match="untried"):
        candidates(["m_v2", "m_v3"], rolled_back(later, **BY), [STABLE, SHADOW, later])
