"""Changes of the rollout that people ask for: held against what stands, written by compare-and-set."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from serving_gateway.contracts.compatibility import differences
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import BASIS_POINTS, Arm, Arms, RolloutState
from serving_gateway.control import steps
from serving_gateway.control.store import NoRolloutError, RolloutStore, StaleGenerationError
from serving_gateway.control.transitions import NotPossibleError, changed, on_trial, rolled_back

Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
Ruling = Literal["hold", "release", "approve"]
_Position = Annotated[int, Meta(ge=1)]
_RULINGS: dict[Ruling, Callable[..., RolloutState | None]] = {
    "hold": steps.hold,
    "release": steps.release,
    "approve": steps.approve,
}


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed of the state at (`epoch`, `generation`), and why. What is left out stays as it is."""

    epoch: _Position
    generation: _Position
    reason: Reason
    arms: Arms | None = None
    canary_weight_bp: Annotated[int, Meta(ge=0, le=BASIS_POINTS)] | None = None
    shadow_fraction: Annotated[float, Meta(ge=0, le=1)] | None = None


class Word(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody says of the trial under way; only of the state at (`epoch`, `generation`), where these are given."""

    reason: Reason
    epoch: _Position | None = None
    generation: _Position | None = None

    def meant(self, state: RolloutState) -> bool:
        """Whether it is said of `state`."""
        return (self.epoch or state.epoch, self.generation or state.generation) == state.position


class Rollback(Word, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take the canary's traffic away; only of the state at (`epoch`, `generation`), where these are given."""


def apply(store: RolloutStore, change: Change, *, actor: str, now: datetime) -> tuple[RolloutState, bool]:
    """The state that stands afterwards, and whether it is another one than before.

    Raises StaleGenerationError, NotPossibleError or NoRolloutError; RedisError or UnreadableDocumentError.
    """
    stands = store.read()
    if stands is None:
        raise NoRolloutError("nothing is served yet: publish a model first")
    if stands.position != (change.epoch, change.generation):
        raise StaleGenerationError(stands)
    new = changed(
        stands,
        arms=change.arms,
        weight_bp=change.canary_weight_bp,
        shadow_fraction=change.shadow_fraction,
        actor=actor,
        reason=change.reason,
        now=now,
    )
    if change.arms is not None:
        _require_compatible(store, new.arms)
    if _served(new) == _served(stands):
        return stands, False
    store.write(new, stands)
    return new, True


def roll_back(store: RolloutStore, asked: Rollback, *, actor: str, now: datetime) -> tuple[RolloutState, bool]:
    """The state that stands afterwards, and whether it is another one than before: without a trial nothing changes.

    Raises StaleGenerationError where another trial is under way than the one that was meant; else as `apply`.
    """
    written = False

    def transition(state: RolloutState) -> RolloutState | None:
        nonlocal written
        written = on_trial(state)
        if not written:
            return None
        if not asked.meant(state):
            raise StaleGenerationError(state)
        return rolled_back(state, actor=actor, reason=asked.reason, now=now)

    return store.change(transition), written


def rule(store: RolloutStore, ruling: Ruling, said: Word, *, actor: str, now: datetime) -> tuple[RolloutState, bool]:
    """Hold, release or approve the trial under way; the state that stands afterwards, and whether it is another one.

    Raises NotPossibleError where no steps lead a trial; else as `roll_back`.
    """
    written = False

    def transition(state: RolloutState) -> RolloutState | None:
        nonlocal written
        if not said.meant(state):
            raise StaleGenerationError(state)
        new = _RULINGS[ruling](state, actor=actor, reason=said.reason, now=now)
        written = new is not None
        return new

    return store.change(transition), written


def _require_compatible(store: RolloutStore, arms: Arms) -> None:
    baseline = _contract(store, arms.baseline)
    for name, arm in (("canary", arms.canary), ("shadow", arms.shadow)):
        differing = differences(baseline, _contract(store, arm)) if arm is not None else []
        if differing:
            raise NotPossibleError(f"the {name} cannot score what the baseline is asked: {'; '.join(differing)}")


def _contract(store: RolloutStore, arm: Arm) -> ModelContract:
    contract = store.contract(arm.contract_digest)
    if contract is None:
        raise NotPossibleError(f"the contract {arm.contract_digest} of {arm.triton_model} is not in the store")
    if (contract.model, contract.version) != (arm.model, arm.version):
        raise NotPossibleError(
            f"the contract {arm.contract_digest} is of {contract.model} version {contract.version}, "
            f"not of {arm.model} version {arm.version}"
        )
    return contract


def _served(state: RolloutState) -> RolloutState:
    """The state without what says when, by whom and why."""
    return msgspec.structs.replace(state, generation=0, actor="", reason="", time="", restores=None, trial=None)
