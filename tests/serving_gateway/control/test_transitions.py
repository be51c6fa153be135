"""Each transition raises the generation, keeps the epoch, and leaves a state that can be served."""

import pytest

from serving_gateway.contracts.rollout import Arms
from serving_gateway.control.transitions import (
    NotPossibleError,
    changed,
    first_state,
    on_trial,
    rolled_back,
    set_baseline,
    set_weight,
    start_canary,
)
from tests.serving_gateway.support import CONTRACT, NOW, arm_of, version

ONE, TWO, THREE = arm_of(CONTRACT), arm_of(version(2)), arm_of(version(3))
FIRST = first_state(ONE, actor="a", reason="r", now=NOW)
CANARY = start_canary(FIRST, TWO, weight_bp=500, shadow_fraction=0.25, actor="b", reason="try", now=NOW)


def test_the_first_state_serves_one_model() -> None:
    assert FIRST.position == (1, 1)
    assert (FIRST.phase, FIRST.arms.baseline, FIRST.arms.canary, FIRST.canary_weight_bp) == ("stable", ONE, None, 0)


def test_a_canary_gets_its_weight_and_shadows_the_rest() -> None:
    assert CANARY.position == (1, 2)
    assert (CANARY.arms.canary, CANARY.arms.shadow, CANARY.arms.baseline) == (TWO, TWO, ONE)
    assert (CANARY.canary_weight_bp, CANARY.shadow_fraction, CANARY.phase) == (500, 0.25, "canary")


def test_without_a_shadow_fraction_there_is_no_shadow() -> None:
    state = start_canary(FIRST, TWO, weight_bp=500, shadow_fraction=0.0, actor="b", reason="try", now=NOW)
    assert state.arms.shadow is None


def test_without_a_weight_it_only_shadows() -> None:
    state = start_canary(FIRST, TWO, weight_bp=0, shadow_fraction=1.0, actor="b", reason="try", now=NOW)
    assert (state.phase, state.arms.canary, state.arms.shadow, state.canary_weight_bp) == ("shadow", TWO, TWO, 0)
    ended = rolled_back(state, actor="b", reason="bad", now=NOW)
    assert (ended.phase, ended.arms.canary, ended.arms.shadow) == ("rolled_back", TWO, None)


@pytest.mark.parametrize(("weight_bp", "phase"), [(700, "canary"), (0, "shadow")])
def test_another_weight_changes_nothing_but_the_weight(weight_bp: int, phase: str) -> None:
    state = set_weight(CANARY, weight_bp, actor="c", reason="more", now=NOW)
    assert state.position == (1, 3)
    assert (state.canary_weight_bp, state.phase) == (weight_bp, phase)
    assert (state.arms, state.shadow_fraction, state.salt) == (CANARY.arms, CANARY.shadow_fraction, CANARY.salt)


def test_a_canary_without_shadow_or_weight_waits() -> None:
    alone = start_canary(FIRST, TWO, weight_bp=500, shadow_fraction=0.0, actor="b", reason="try", now=NOW)
    waiting = set_weight(alone, 0, actor="c", reason="wait", now=NOW)
    assert waiting.phase == "canary"
    assert on_trial(waiting)
    assert not on_trial(rolled_back(waiting, actor="c", reason="bad", now=NOW))
    assert not on_trial(FIRST)


def test_rollback_takes_all_traffic_from_the_canary_and_keeps_its_name() -> None:
    state = rolled_back(CANARY, actor="gateway:g", reason="bad", now=NOW)
    assert state.position == (1, 3)
    assert (state.canary_weight_bp, state.shadow_fraction, state.arms.shadow) == (0, 0.0, None)
    assert (state.arms.baseline, state.arms.canary, state.phase) == (ONE, TWO, "rolled_back")
    assert (state.actor, state.reason, state.time) == ("gateway:g", "bad", "2026-01-01T00:00:00+00:00")


def test_a_new_baseline_ends_what_was_under_way() -> None:
    state = set_baseline(CANARY, TWO, actor="a", reason="promoted", now=NOW)
    assert (state.arms.baseline, state.arms.canary, state.arms.shadow, state.canary_weight_bp) == (TWO, None, None, 0)


def test_an_impossible_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="canary_weight_bp"):
        start_canary(FIRST, TWO, weight_bp=10_001, shadow_fraction=0, actor="a", reason="r", now=NOW)


BY = {"actor": "admin", "reason": "r", "now": NOW}


def test_what_is_not_given_stays() -> None:
    state = changed(CANARY, weight_bp=700, **BY)
    assert (state.position, state.canary_weight_bp, state.shadow_fraction, state.arms) == (
        (1, 3),
        700,
        0.25,
        CANARY.arms,
    )
    state = changed(CANARY, shadow_fraction=0.0, **BY)
    assert (state.canary_weight_bp, state.arms.shadow, state.phase) == (500, None, "canary")
    assert changed(state, shadow_fraction=1.0, weight_bp=0, **BY).phase == "shadow"


def test_other_arms_begin_a_trial_without_a_share() -> None:
    state = changed(CANARY, arms=Arms(baseline=ONE, canary=THREE), **BY)
    assert (state.canary_weight_bp, state.shadow_fraction, state.arms) == (0, 0.0, Arms(baseline=ONE, canary=THREE))
    assert (state.phase, on_trial(state)) == ("canary", True)


def test_arms_without_a_canary_promote() -> None:
    state = changed(CANARY, arms=Arms(baseline=TWO), **BY)
    assert (state.phase, state.arms, state.canary_weight_bp) == ("stable", Arms(baseline=TWO), 0)


def test_a_shadow_may_be_another_model_than_the_canary() -> None:
    arms = Arms(baseline=ONE, canary=TWO, shadow=THREE)
    assert changed(CANARY, arms=arms, shadow_fraction=0.5, weight_bp=1, **BY).arms == arms
    with pytest.raises(NotPossibleError, match="no canary is named"):
        changed(FIRST, arms=Arms(baseline=ONE, shadow=THREE), shadow_fraction=0.5, **BY)


@pytest.mark.parametrize("asked", [{"weight_bp": 1}, {"shadow_fraction": 0.1}])
def test_a_share_needs_a_canary(asked: dict[str, float]) -> None:
    with pytest.raises(NotPossibleError, match="no canary is named"):
        changed(FIRST, **asked, **BY)  # type: ignore[arg-type]
    over = rolled_back(CANARY, actor="cli:me", reason="bad", now=NOW)
    with pytest.raises(NotPossibleError, match=r"was rolled back by cli:me \(bad\): name it in `arms`"):
        changed(over, **asked, **BY)  # type: ignore[arg-type]
    assert changed(over, weight_bp=0, **BY).phase == "rolled_back"
    assert changed(over, arms=CANARY.arms, **asked, **BY).phase in {"canary", "shadow"}  # type: ignore[arg-type]
