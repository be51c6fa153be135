"""The rollout's history up to the state that was last served, on disk: one JSON document a line, oldest first.

A gateway starts from it while Redis is down, and tells a Redis that lost its memory from it.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from serving_gateway.contracts.rollout import RolloutState, decode_state
from serving_gateway.documents import UNREADABLE
from serving_gateway.rollout.files import replace_file

KEPT = 500
_log = logging.getLogger(__name__)
_encode_lines = msgspec.json.Encoder().encode_lines


class LastKnownGood:
    """One file per gateway in `folder`; a new gateway starts from the newest state that any of them served."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self._folder = folder
        self._path = folder / f"{gateway}.json"

    def save(self, history: Sequence[RolloutState]) -> None:
        """Keep the newest of `history`, whose last is served."""
        replace_file(self._path, _encode_lines(history[-KEPT:]))

    def load(self) -> list[RolloutState]:
        """The history up to the newest state kept on this machine; empty where there is none."""
        found = [history for path in self._folder.glob("*.json") if (history := _read(path))]
        return max(found, key=lambda history: history[-1].position, default=[])


def _read(path: Path) -> list[RolloutState]:
    try:
        return [decode_state(line) for line in path.read_bytes().splitlines()]
    except UNREADABLE as error:
        _log.warning("%s is unreadable and ignored: %s", path, error)
        return []
