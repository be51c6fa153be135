"""How a trial that is led by the steps of a policy goes from one state to the next: pure functions, as in transitions.

The trial stays the same from its first step to its end, whatever its share: (epoch, generation) of its mark never change.
"""

from datetime import datetime

import msgspec

from serving_gateway.contracts.rollout import Arm, RolloutState, TrialMark
from serving_gateway.control.transitions import NotPossibleError, on_trial, set_baseline, start_canary


def begin_trial(
    state: RolloutState,
    canary: Arm,
    *,
    weight_bp: int,
    shadow_fraction: float,
    event_time: datetime,
    actor: str,
    reason: str,
    now: datetime,
) -> RolloutState:
    """Put `canary` on a trial at step 0. Raises NotPossibleError where one is under way."""
    if on_trial(state):
        raise NotPossibleError(f"{_tried(state)} is on trial: end that trial first")
    began = start_canary(
        state, canary, weight_bp=weight_bp, shadow_fraction=shadow_fraction, actor=actor, reason=reason, now=now
    )
    at = event_time.isoformat()
    return _marked(began, step=0, began=at, entered=at)


def enter_step(
    state: RolloutState,
    step: int,
    *,
    weight_bp: int,
    shadow_fraction: float,
    event_time: datetime,
    evidence: str,
    actor: str,
    reason: str,
    now: datetime,
) -> RolloutState:
    """The trial under way comes to another step; an approval was for the step that it leaves. Raises NotPossibleError."""
    trial = led(state)
    if trial.held:
        raise NotPossibleError(f"{_tried(state)} is held by {trial.held}")
    assert state.arms.canary is not None
    raised = start_canary(
        state,
        state.arms.canary,
        weight_bp=weight_bp,
        shadow_fraction=shadow_fraction,
        actor=actor,
        reason=reason,
        now=now,
    )
    mark = msgspec.structs.replace(trial, step=step, entered=event_time.isoformat(), approved="", evidence=evidence)
    return msgspec.structs.replace(raised, trial=mark)


def settle(state: RolloutState, *, evidence: str, actor: str, reason: str, now: datetime) -> RolloutState:
    """The promoted model becomes the baseline; the old one is named no more. Raises NotPossibleError."""
    trial = led(state)
    if state.phase != "promoted" or state.arms.canary is None:
        raise NotPossibleError(f"{_tried(state)} does not answer everything: it cannot become the baseline")
    if trial.held:
        raise NotPossibleError(f"{_tried(state)} is held by {trial.held}")
    settled = set_baseline(state, state.arms.canary, actor=actor, reason=reason, now=now)
    return msgspec.structs.replace(settled, trial=msgspec.structs.replace(trial, evidence=evidence))


def settled(state: RolloutState) -> bool:
    """Whether this state made the model of a trial the baseline: no other stable state tells of a trial."""
    return state.phase == "stable" and state.trial is not None and state.trial.step is not None


def hold(state: RolloutState, *, actor: str, reason: str, now: datetime) -> RolloutState | None:
    """The trial stays at its step until it is released; None where it is held already. Raises NotPossibleError."""
    return None if led(state).held else _ruled(state, actor, reason, now, held=f"{actor}: {reason}")


def release(state: RolloutState, *, actor: str, reason: str, now: datetime) -> RolloutState | None:
    """The trial may go on; None where nobody holds it. Raises NotPossibleError."""
    return _ruled(state, actor, reason, now, held="") if led(state).held else None


def approve(state: RolloutState, *, actor: str, reason: str, now: datetime) -> RolloutState | None:
    """The trial may leave this step, once the rest is there; None where that is said already. Raises NotPossibleError."""
    return None if led(state).approved else _ruled(state, actor, reason, now, approved=f"{actor}: {reason}")


def led(state: RolloutState) -> TrialMark:
    """The mark of the trial that steps lead. Raises NotPossibleError where there is none."""
    if not on_trial(state):
        raise NotPossibleError("no model is on trial")
    if state.trial is None or state.trial.step is None:
        raise NotPossibleError(f"{_tried(state)} is led by hand: it goes nowhere by itself")
    return state.trial


def _ruled(state: RolloutState, actor: str, reason: str, now: datetime, **ruling: str) -> RolloutState:
    new = msgspec.structs.replace(
        state, generation=state.generation + 1, restores=None, actor=actor, reason=reason, time=now.isoformat()
    )
    return _marked(new, evidence="", **ruling)


def _marked(state: RolloutState, **changes: object) -> RolloutState:
    assert state.trial is not None
    return msgspec.structs.replace(state, trial=msgspec.structs.replace(state.trial, **changes))


def _tried(state: RolloutState) -> str:
    return state.arms.canary.triton_model if state.arms.canary else "no model"
