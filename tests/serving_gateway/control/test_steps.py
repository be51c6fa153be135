"""A trial that steps lead: one identity from beginning to end, and people's word on it."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from serving_gateway.contracts.rollout import Arms, RolloutState
from serving_gateway.control.forward import brought_forward
from serving_gateway.control.steps import approve, begin_trial, enter_step, hold, release, settle, settled
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

ONE, TWO = arm_of(CONTRACT), arm_of(version(2))
BY = {"actor": "cli:me", "reason": "r", "now": NOW}
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
FIRST = first_state(ONE, **BY)
SHADOW = begin_trial(FIRST, TWO, weight_bp=0, shadow_fraction=1.0, event_time=NOON, **BY)


def entered(state: RolloutState, step: int, weight_bp: int) -> RolloutState:
    shadow = 0.0 if weight_bp == 10_000 else 1.0
    at = NOON.replace(hour=12 + step)
    return enter_step(
        state, step, weight_bp=weight_bp, shadow_fraction=shadow, event_time=at, evidence=f"e{step}.json", **BY
    )


CANARY = entered(SHADOW, 1, 500)
PROMOTED = entered(CANARY, 2, 10_000)


def mark(state: RolloutState) -> tuple[int, int, int | None]:
    assert state.trial is not None
    return state.trial.epoch, state.trial.generation, state.trial.step


def test_the_phase_follows_from_the_weight_and_the_trial_stays_the_same() -> None:
    states = (SHADOW, CANARY, PROMOTED)
    assert [(s.position, s.phase, s.canary_weight_bp) for s in states] == [
        ((1, 2), "shadow", 0),
        ((1, 3), "canary", 500),
        ((1, 4), "promoted", 10_000),
    ]
    assert [mark(s) for s in states] == [(1, 2, 0), (1, 2, 1), (1, 2, 2)]
    assert all(s.trial and s.trial.began == NOON.isoformat() for s in states)
    assert PROMOTED.trial is not None
    assert (PROMOTED.trial.entered, PROMOTED.trial.evidence) == ("2013-05-01T14:00:00+00:00", "e2.json")


def test_promoted_keeps_the_old_model_as_baseline_and_a_rollback_is_a_change_of_weight() -> None:
    assert PROMOTED.arms == Arms(baseline=ONE, canary=TWO)
    back = rolled_back(PROMOTED, evidence="bad.json", **BY)
    assert (back.phase, back.arms, back.canary_weight_bp) == ("rolled_back", Arms(baseline=ONE, canary=TWO), 0)
    assert mark(back) == (1, 2, 2)
    assert back.trial is not None
    assert back.trial.evidence == "bad.json"


def test_what_has_settled_is_the_baseline_alone_and_tells_of_its_trial() -> None:
    state = settle(PROMOTED, evidence="end.json", **BY)
    assert (state.phase, state.arms, state.canary_weight_bp) == ("stable", Arms(baseline=TWO), 0)
    assert (mark(state), settled(state), on_trial(state)) == ((1, 2, 2), True, False)
    assert not any(settled(s) for s in (FIRST, SHADOW, PROMOTED, set_baseline(PROMOTED, TWO, **BY)))


@pytest.mark.parametrize("state", [SHADOW, CANARY])
def test_only_what_answers_everything_becomes_the_baseline(state: RolloutState) -> None:
    with pytest.raises(NotPossibleError, match="does not answer everything"):
        settle(state, evidence="", **BY)


def test_a_held_trial_goes_nowhere_but_back() -> None:
    held = hold(PROMOTED, actor="cli:ada", reason="look first", now=NOW)
    assert held is not None
    assert (held.position, held.phase, held.trial and held.trial.held) == ((1, 5), "promoted", "cli:ada: look first")
    assert hold(held, **BY) is None
    with pytest.raises(NotPossibleError, match="held by cli:ada: look first"):
        settle(held, evidence="", **BY)
    with pytest.raises(NotPossibleError, match="held by"):
        entered(held, 3, 10_000)
    assert rolled_back(held, **BY).phase == "rolled_back"
    free = release(held, **BY)
    assert free is not None
    assert msgspec.structs.replace(free, generation=4) == msgspec.structs.replace(
        PROMOTED, reason="r", trial=msgspec.structs.replace(PROMOTED.trial, evidence="")
    )
    assert release(free, **BY) is None


def test_an_approval_is_for_one_step() -> None:
    approved = approve(SHADOW, actor="admin:ada", reason="go", now=NOW)
    assert approved is not None
    assert approved.trial is not None
    assert approved.trial.approved == "admin:ada: go"
    assert approve(approved, **BY) is None
    moved = entered(approved, 1, 500)
    assert moved.trial is not None
    assert moved.trial.approved == ""


BY_HAND = start_canary(FIRST, TWO, weight_bp=500, shadow_fraction=1.0, **BY)


@pytest.mark.parametrize("act", [hold, release, approve])
@pytest.mark.parametrize(
    ("state", "why"),
    [(FIRST, "no model is on trial"), (rolled_back(SHADOW, **BY), "no model is on trial"), (BY_HAND, "led by hand")],
)
def test_without_steps_there_is_nothing_to_say(act: Callable[..., object], state: RolloutState, why: str) -> None:
    with pytest.raises(NotPossibleError, match=why):
        act(state, **BY)


def test_whoever_changes_the_share_leads_the_trial_from_then_on() -> None:
    held = hold(CANARY, **BY)
    assert held is not None
    for state in (set_weight(held, 900, **BY), changed(held, shadow_fraction=0.5, **BY)):
        assert mark(state) == (1, 2, None)
        assert state.trial is not None
        assert (state.trial.held, state.trial.began) == ("", NOON.isoformat())


def test_no_trial_begins_on_top_of_another() -> None:
    with pytest.raises(NotPossibleError, match="delay_v2 is on trial"):
        begin_trial(CANARY, TWO, weight_bp=0, shadow_fraction=1.0, event_time=NOON, **BY)
    again = begin_trial(rolled_back(CANARY, **BY), TWO, weight_bp=0, shadow_fraction=1.0, event_time=NOON, **BY)
    assert mark(again) == (1, 5, 0)


def test_a_store_that_forgot_is_told_of_the_same_trial() -> None:
    forward = brought_forward([FIRST, SHADOW, CANARY], [], None, actor="gateway:g", now=NOW)
    assert forward is not None
    assert forward.state.position == (2, 1)
    assert forward.state.trial == CANARY.trial
