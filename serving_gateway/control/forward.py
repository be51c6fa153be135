"""Bringing a store that lost its memory forward: a pure function of what a gateway has served and what the store holds.

The law: a gateway serves nothing of a store that does not know everything that the gateway has served. It first tells
the store what was forgotten, and writes what follows from both histories under a new epoch, so that no change made
afterwards looks old to anybody.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import on_trial, rolled_back


class Forward(Struct, frozen=True):
    """What to write: the states that the store has forgotten, oldest first, and the state that then stands."""

    forgotten: list[RolloutState]
    state: RolloutState


def brought_forward(
    served: Sequence[RolloutState],
    stored: Sequence[RolloutState],
    stands: RolloutState | None,
    *,
    actor: str,
    now: datetime,
) -> Forward | None:
    """What has to be written before the store may be followed again; None where it knows all that was served.

    Args:
        served: the history that this gateway knows, oldest first; its last is the state that it serves. Not empty.
        stored: the store's audit, oldest first.
        stands: the state that the store holds; None where it holds none.
        actor: who writes, for the audit.
        now: wall clock.
    """
    newest = served[-1]
    if stands is not None and (stands == newest or (stands.position > newest.position and newest in stored)):
        return None
    in_store = set(stored)
    forgotten = [state for state in served if state not in in_store]
    unseen = _unseen(served, stored)
    base = _base(served, stands, unseen)
    ended = _ended_by_store(unseen) if base is newest else _ended_by_gateway(base, forgotten)
    why = f"restored forward: the store held {_place(stands)}, {_place(newest)} was served"
    content = base
    if ended is not None and on_trial(base):
        content = rolled_back(base, actor=actor, reason="", now=now)
        why += f"; the rollback {_place(ended)} by {ended.actor} holds ({ended.reason})"
    if base.restores is None:
        why += f". {_place(base)} was by {base.actor}: {base.reason}"
    state = msgspec.structs.replace(
        content,
        epoch=max(newest.epoch, stands.epoch if stands else 0) + 1,
        generation=1,
        restores=base.restores or base.position,
        actor=actor,
        reason=why,
        time=now.isoformat(),
    )
    return Forward(forgotten, state)


def _unseen(served: Sequence[RolloutState], stored: Sequence[RolloutState]) -> list[RolloutState]:
    """Changes in the store that this gateway does not know. What is older than its whole memory is past, not news."""
    known = set(served)
    return [state for state in stored if state not in known and state.time > served[0].time]


def _base(served: Sequence[RolloutState], stands: RolloutState | None, unseen: Sequence[RolloutState]) -> RolloutState:
    """Whose content goes on: what was served, or what the store holds."""
    newest = served[-1]
    if stands is None:
        return newest
    decided = max((state.time for state in served if state.restores is None), default="")
    if any(state.phase == "stable" and state.restores is None and state.time > decided for state in unseen):
        return stands  # what serves was chosen anew: nothing of a past that is not true is left in it
    if stands.restores is not None:  # another gateway was faster: the newer of what the two had served
        return newest if (newest.restores or newest.position) > stands.restores else stands
    if stands.epoch > newest.epoch:  # it was restored while this gateway was away, and people went on from there
        return stands
    return newest  # the store went back, and a change made on what it then held rests on a past that is not true


def _ended_by_store(unseen: Sequence[RolloutState]) -> RolloutState | None:
    """A rollback made without knowing what is served was made for whatever was: it ends any trial."""
    return next((s for s in reversed(unseen) if s.phase == "rolled_back" and s.restores is None), None)


def _ended_by_gateway(stands: RolloutState, forgotten: Sequence[RolloutState]) -> RolloutState | None:
    """The forgotten rollback of the very model that the store has on trial, where it was the last word on that model."""
    canary = stands.arms.canary
    last = next((s for s in reversed(forgotten) if canary is not None and s.arms.canary == canary), None)
    return last if last is not None and last.phase == "rolled_back" else None


def _place(state: RolloutState | None) -> str:
    return "nothing" if state is None else f"{state.epoch}:{state.generation}"
