"""Each transition raises the generation, keeps the epoch, and leaves a state that can be served."""

import pytest

from serving_gateway.control.transitions import (
    first_state,
    on_trial,
    rolled_back,
    set_baseline,
    set_weight,
    start_canary,
)
from tests.serving_gateway.support import CONTRACT, NOW, arm_of, version

ONE, TWO = arm_of(CONTRACT), arm_of(version(2))
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
