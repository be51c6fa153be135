"""How one rollout state follows from another: pure functions, the clock and the actor are arguments.

Each returns the next state with its generation raised by one; whether it takes effect is the store's compare-and-set.
"""

from datetime import datetime

import msgspec

from serving_gateway.contracts.rollout import BASIS_POINTS, Arm, Arms, Phase, RolloutState, TrialMark

ON_TRIAL = frozenset({"shadow", "canary", "promoted"})


def first_state(baseline: Arm, *, actor: str, reason: str, now: datetime) -> RolloutState:
    """The state of a platform that serves its first model."""
    return RolloutState(
        epoch=1,
        generation=1,
        phase="stable",
        arms=Arms(baseline=baseline),
        actor=actor,
        reason=reason,
        time=now.isoformat(),
    )


def set_baseline(state: RolloutState, baseline: Arm, *, actor: str, reason: str, now: datetime) -> RolloutState:
    """Serve everything from `baseline`; a canary or shadow under way ends."""
    return _next(
        state,
        phase="stable",
        arms=Arms(baseline=baseline),
        canary_weight_bp=0,
        shadow_fraction=0.0,
        trial=None,
        actor=actor,
        reason=reason,
        now=now,
    )


def start_canary(
    state: RolloutState,
    canary: Arm,
    *,
    weight_bp: int,
    shadow_fraction: float,
    actor: str,
    reason: str,
    now: datetime,
) -> RolloutState:
    """Give `canary` its share of the keys, and let it score `shadow_fraction` of the other requests in the background.

    Without a share it answers nobody: phase `shadow`.
    """
    shadow = canary if shadow_fraction else None
    return _next(
        state,
        phase=_trial_phase(weight_bp, shadow),
        arms=Arms(baseline=state.arms.baseline, canary=canary, shadow=shadow),
        canary_weight_bp=weight_bp,
        shadow_fraction=shadow_fraction,
        trial=_begun_by_next(state),
        actor=actor,
        reason=reason,
        now=now,
    )


def set_weight(state: RolloutState, weight_bp: int, *, actor: str, reason: str, now: datetime) -> RolloutState:
    """Another share of the keys for the canary under way; what it shadows stays as it is. People lead it from then on."""
    phase = _trial_phase(weight_bp, state.arms.shadow)
    trial = _by_hand(state.trial)
    return _next(state, phase=phase, canary_weight_bp=weight_bp, trial=trial, actor=actor, reason=reason, now=now)


class NotPossibleError(ValueError):
    """The change does not fit the state that stands; the message says why and what would."""


def changed(
    state: RolloutState,
    *,
    arms: Arms | None = None,
    weight_bp: int | None = None,
    shadow_fraction: float | None = None,
    actor: str,
    reason: str,
    now: datetime,
) -> RolloutState:
    """Several things at once; what is not given stays as it is.

    With `arms` a new trial begins, and a share that is not given is 0: a new canary inherits nothing. Without, people lead
    the trial from then on. Without a canary the phase is `stable`. What shadows is the canary, where `arms` names no shadow. Raises NotPossibleError.
    """
    if arms is None:
        weight_bp = state.canary_weight_bp if weight_bp is None else weight_bp
        shadow_fraction = state.shadow_fraction if shadow_fraction is None else shadow_fraction
        _require_trial(state, share=weight_bp or shadow_fraction)
        arms, phase, trial = state.arms, state.phase, _by_hand(state.trial)
    else:
        phase = "canary" if arms.canary else "stable"
        trial = _begun_by_next(state) if arms.canary else None
    shadow = (arms.shadow or arms.canary) if shadow_fraction else None
    if (weight_bp or shadow_fraction) and arms.canary is None:
        raise NotPossibleError("no canary is named: name one in `arms`")
    return _next(
        state,
        phase=_trial_phase(weight_bp or 0, shadow) if phase in ON_TRIAL else phase,
        arms=msgspec.structs.replace(arms, shadow=shadow),
        canary_weight_bp=weight_bp or 0,
        shadow_fraction=shadow_fraction or 0.0,
        trial=trial,
        actor=actor,
        reason=reason,
        now=now,
    )


def _require_trial(state: RolloutState, *, share: float) -> None:
    if share and state.phase == "rolled_back" and state.arms.canary is not None:
        raise NotPossibleError(
            f"{state.arms.canary.triton_model} was rolled back by {state.actor} ({state.reason}): "
            "name it in `arms` to try it again"
        )


def rolled_back(state: RolloutState, *, actor: str, reason: str, now: datetime, evidence: str = "") -> RolloutState:
    """Baseline answers everything; the canary's name is kept for the record, its weight and shadow end."""
    return _next(
        state,
        phase="rolled_back",
        arms=Arms(baseline=state.arms.baseline, canary=state.arms.canary),
        canary_weight_bp=0,
        shadow_fraction=0.0,
        trial=state.trial and msgspec.structs.replace(state.trial, evidence=evidence),
        actor=actor,
        reason=reason,
        now=now,
    )


def on_trial(state: RolloutState) -> bool:
    """Whether a model is being tried. One that waits without a share or a shadow is too: the next share is one change away."""
    return state.arms.canary is not None and state.phase in ON_TRIAL


def _begun_by_next(state: RolloutState) -> TrialMark:
    """The mark of a trial that the state after `state` begins."""
    return TrialMark(epoch=state.epoch, generation=state.generation + 1)


def _by_hand(trial: TrialMark | None) -> TrialMark | None:
    """The same trial, led by people: the steps would take back at once what somebody has just decided."""
    return trial and msgspec.structs.replace(trial, step=None, held="", approved="", evidence="")


def _trial_phase(weight_bp: int, shadow: Arm | None) -> Phase:
    if weight_bp == BASIS_POINTS:
        return "promoted"
    return "shadow" if shadow is not None and not weight_bp else "canary"


def _next(state: RolloutState, *, now: datetime, **changes: object) -> RolloutState:
    return msgspec.structs.replace(
        state, generation=state.generation + 1, restores=None, time=now.isoformat(), **changes
    )
