"""What this gateway has served, and a store that is told what it has forgotten before it is followed again."""

import logging
from collections.abc import Callable
from datetime import datetime

from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.forward import brought_forward
from serving_gateway.control.store import RolloutStore, StaleGenerationError
from serving_gateway.control.transitions import on_trial, rolled_back
from serving_gateway.rollout.last_known_good import KEPT, LastKnownGood
from serving_gateway.rollout.tripwire import Trip

_log = logging.getLogger(__name__)


class RolloutMemory:
    """Synchronous: it is used from a thread, and only when the store holds something else than what is served."""

    def __init__(
        self,
        store: RolloutStore,
        last_known_good: LastKnownGood,
        contract: Callable[[str], ModelContract | None],
        gateway: str,
    ) -> None:
        """`contract` gives the contract of a digest from what this gateway has loaded or kept."""
        self._store = store
        self._last_known_good = last_known_good
        self._contract = contract
        self._actor = f"gateway:{gateway}"
        self._history = last_known_good.load()

    @property
    def newest(self) -> RolloutState | None:
        """The state that was last served, on this machine if not by this process."""
        return self._history[-1] if self._history else None

    def following(self, trip: Trip | None, now: datetime) -> list[RolloutState]:
        """The history up to what may be served next: the store's, once it knows all that was served here and the trip.

        Empty where nothing was ever served. Raises RedisError, OSError or UnreadableDocumentError.
        """
        while True:
            stands, stored = self._store.known_since(self.newest)
            try:
                told = self._told(stands, stored, trip, now)
            except StaleGenerationError:
                continue
            if told is None:
                history = stored if stands is None or stands in stored else [*stored, stands]
                return history[-KEPT:] if stands is not None else []
            _log.warning("epoch %d, generation %d is written: %s", *told.position, told.reason)

    def keep(self, history: list[RolloutState]) -> None:
        """`history` is what `following` gave, and its last state is served now. Raises OSError."""
        self._history = history
        self._last_known_good.save(history)

    def _told(
        self, stands: RolloutState | None, stored: list[RolloutState], trip: Trip | None, now: datetime
    ) -> RolloutState | None:
        """The one thing that had to be written to the store, or None. Raises StaleGenerationError."""
        if self._history:
            forward = brought_forward(self._history, stored, stands, actor=self._actor, now=now)
            if forward is not None:
                self._put_contracts(forward.state)
                self._store.write(forward.state, stands, forgotten=forward.forgotten)
                return forward.state
        if stands is not None and trip is not None and _tries(stands, trip):
            state = rolled_back(stands, actor=self._actor, reason=trip.reason, now=now)
            self._store.write(state, stands)
            return state
        return None

    def _put_contracts(self, state: RolloutState) -> None:
        for arm in (state.arms.baseline, state.arms.canary, state.arms.shadow):
            contract = self._contract(arm.contract_digest) if arm is not None else None
            if contract is not None:
                self._store.put_contract(contract)


def _tries(state: RolloutState, trip: Trip) -> bool:
    canary = state.arms.canary
    return canary is not None and canary.triton_model == trip.triton_model and on_trial(state)
