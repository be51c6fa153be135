"""The audit stream as far as it was followed: what a Redis forgets later stays known here."""

from datetime import datetime
from typing import TypeGuard

from orchestration.incidents.policy import PAGE
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError


class Audit:
    """Every change of the rollout from the first that the stream holds, oldest first."""

    def __init__(self, store: RolloutStore) -> None:
        self._store = store
        self._cursor = "0"
        self.changes: list[tuple[str, RolloutState]] = []

    @property
    def states(self) -> list[RolloutState]:
        """The changes without the ids of their entries."""
        return [state for _, state in self.changes]

    def follow(self) -> None:
        """Add the changes since the last call; unreadable ones are passed over.

        Raises redis.RedisError; then the next call goes on from where this one came.
        """
        while changes := self._store.changes_after(self._cursor, PAGE):
            self.changes += [(entry, state) for entry, state in changes if _tells(state)]
            self._cursor = changes[-1][0]


def _tells(state: RolloutState | UnreadableDocumentError) -> TypeGuard[RolloutState]:
    """Whether it is a state that says when it was made."""
    try:
        return isinstance(state, RolloutState) and datetime.fromisoformat(state.time).tzinfo is not None
    except ValueError:
        return False
