"""Stops a failing canary here at once; the rollback is written to the store by whoever follows it."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.reflex import Evidence, TripPolicy
from serving_gateway.documents import UNREADABLE
from serving_gateway.rollout.files import replace_file

_log = logging.getLogger(__name__)


class Trip(Struct, frozen=True, kw_only=True):
    """A canary that this gateway stopped. `time` is the wall clock, ISO 8601 in UTC."""

    triton_model: str
    reason: str
    time: str


class Tripwire:
    """The reflex of one gateway. A trip lies in `file` until its rollback is served, so that nothing forgets it."""

    def __init__(self, file: Path, *, enabled: bool, policy: TripPolicy | None = None) -> None:
        self._file = file
        self._enabled = enabled
        self._policy = policy or TripPolicy()
        self._evidence = Evidence(self._policy)
        self._watched = ""
        self.on_trip: Callable[[Trip], None] = lambda _trip: None
        self.trip = _left_behind(file) if enabled else None

    def observe(self, triton_model: str, *, failed: bool) -> None:
        """A canary request ended. Trips at once when the condition holds."""
        if not self._enabled or (self.trip is not None and self.trip.triton_model == triton_model):
            return
        if triton_model != self._watched:
            self._watched, self._evidence = triton_model, Evidence(self._policy)
        reason = self._evidence.add(failed=failed)
        if reason is None:
            return
        self._watched = ""
        self.trip = Trip(triton_model=triton_model, reason=reason, time=datetime.now(UTC).isoformat())
        _log.warning("canary %s is stopped: %s", triton_model, reason)
        self.on_trip(self.trip)
        try:  # last: a disk that refuses must not keep the canary going
            replace_file(self._file, msgspec.json.encode(self.trip))
        except OSError as error:
            _log.error("the trip is not on disk, a restart before the store has it forgets it: %s", error)

    def stops(self, state: RolloutState) -> bool:
        """Whether the canary of `state` gets no traffic here."""
        canary = state.arms.canary
        return self.trip is not None and canary is not None and canary.triton_model == self.trip.triton_model

    def settle(self, trip: Trip) -> None:
        """The store has the rollback, and it is served: a later state may name the model again."""
        if self.trip is not trip:
            return
        self.trip = None
        for file in {self._file, *self._file.parent.glob("*.json")}:  # no worker's file has to tell of it any more
            if file != self._file and (other := _read(file)) and other.triton_model != trip.triton_model:
                continue
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                _log.error("delete %s, or a restart rolls that canary back again: %s", file, error)


def _left_behind(file: Path) -> Trip | None:
    """What `file` tells of, else what another worker's does: it may have stopped, and nobody may come to write it."""
    files = [file, *sorted(file.parent.glob("*.json"))]
    return next((trip for trip in map(_read, files) if trip is not None), None)


def _read(file: Path) -> Trip | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Trip) if file.is_file() else None
    except (OSError, *UNREADABLE) as error:
        _log.warning("%s is unreadable and ignored: %s", file, error)
        return None
