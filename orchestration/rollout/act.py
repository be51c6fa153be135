"""Changes of the rollout: serve a baseline, try a canary, by hand or by steps, take a canary's traffic away."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.rollout.policy import RolloutPolicy
from orchestration.rollout.trial import Trial
from serving_gateway.contracts.rollout import Arm, RolloutState, basis_points
from serving_gateway.control.steps import begin_trial
from serving_gateway.control.store import RolloutStore, StaleGenerationError
from serving_gateway.control.transitions import first_state, rolled_back, set_baseline, start_canary

CONVERGENCE_TIMEOUT_S = 10.0


class SignatureMismatchError(Exception):
    """The canary reads other inputs than the baseline; the message names the fields."""


def serve_baseline(store: RolloutStore, arm: Arm, *, actor: str, now: datetime) -> RolloutState:
    """Answer everything with `arm`, whose contract is stored; ends a canary under way. Returns the new state."""
    reason = f"serve {arm.triton_model} as baseline"
    if store.read() is None:
        state = first_state(arm, actor=actor, reason=reason, now=now)
        try:
            store.write(state, None)
        except StaleGenerationError:  # another writer was first: follow it
            return store.change(lambda s: set_baseline(s, arm, actor=actor, reason=reason, now=now))
        return state
    return store.change(lambda s: set_baseline(s, arm, actor=actor, reason=reason, now=now))


def serve_canary(
    store: RolloutStore, arm: Arm, *, weight: float, shadow_fraction: float, actor: str, now: datetime
) -> RolloutState:
    """Put `arm`, whose contract is stored, on trial; returns the new state.

    It answers a share `weight` (0 to 1) of the routing keys, and scores a share `shadow_fraction` of the other requests
    in the background. With weight 0 it only shadows.

    Raises:
        ValueError: a share is outside 0 to 1, or both are 0.
        SignatureMismatchError: its inputs are not the baseline's.
        NoRolloutError: there is no baseline yet.
    """
    weight_bp = _weight_bp(weight)
    if not weight_bp and not shadow_fraction:
        raise ValueError("weight and shadow_fraction are both 0: the model would have nothing to do")
    what = f"on {weight:.1%} of the keys" if weight_bp else "as a shadow"

    def transition(state: RolloutState) -> RolloutState:
        _same_signature(store, state.arms.baseline, arm)
        return start_canary(
            state,
            arm,
            weight_bp=weight_bp,
            shadow_fraction=shadow_fraction,
            actor=actor,
            reason=f"try {arm.triton_model} {what}",
            now=now,
        )

    return store.change(transition)


def lead(
    store: RolloutStore, arm: Arm, policy: RolloutPolicy, *, actor: str, event_time: datetime, now: datetime
) -> RolloutState:
    """Put `arm`, whose contract is stored, on a trial that the policy's steps lead; returns the new state.

    Raises:
        SignatureMismatchError: its inputs are not the baseline's.
        NotPossibleError: another trial is under way.
        NoRolloutError: there is no baseline yet.
    """
    first = policy.steps[0]

    def transition(state: RolloutState) -> RolloutState:
        _same_signature(store, state.arms.baseline, arm)
        return begin_trial(
            state,
            arm,
            weight_bp=basis_points(first.weight),
            shadow_fraction=first.shadow_fraction,
            event_time=event_time,
            actor=actor,
            reason=f"try {arm.triton_model} by the policy's steps",
            now=now,
        )

    return store.change(transition)


def _weight_bp(weight: float) -> int:
    try:
        return basis_points(weight)
    except ValueError as error:
        raise ValueError(f"weight {error}") from None


def _same_signature(store: RolloutStore, baseline: Arm, canary: Arm) -> None:
    ours, theirs = store.contract(baseline.contract_digest), store.contract(canary.contract_digest)
    if ours is None or theirs is None:
        raise SignatureMismatchError("the contract of an arm is not in the store: publish it again")
    differing = set(ours.signature) ^ set(theirs.signature)
    if ours.signature != theirs.signature:
        names = sorted({name for name, _, _ in differing}) or ["their order"]
        raise SignatureMismatchError(
            f"{canary.triton_model} reads other inputs than {baseline.triton_model}: {', '.join(names)}"
        )


@dataclass(frozen=True)
class RollbackDone:
    """`changed` is False when that trial was over already. `seconds`: from the decision to the last gateway."""

    state: RolloutState
    changed: bool
    gateways: list[str]
    seconds: float


def roll_back(store: RolloutStore, trial: Trial, *, reason: str, actor: str, evidence: str = "") -> RollbackDone:
    """Set the weight of the model on trial to 0, end its shadow, and wait until every live gateway serves that.

    `evidence` names the document on which it rests; empty where a person decided.
    A rollout that has moved on, even to a new trial of the same model, is left as it is: it was not what was judged.
    Raises TimeoutError naming gateways that lag, NoRolloutError when nothing is served.
    """
    began = time.monotonic()
    changed = False

    def transition(state: RolloutState) -> RolloutState | None:
        nonlocal changed
        changed = Trial.of(state) == trial
        now = datetime.now(UTC)
        return rolled_back(state, actor=actor, reason=reason, now=now, evidence=evidence) if changed else None

    state = store.change(transition)
    served = store.wait_until_served(state, timeout_s=CONVERGENCE_TIMEOUT_S)
    return RollbackDone(state, changed, [ack.gateway for ack in served], time.monotonic() - began)
