"""The last rollout state that was served, on disk, so that a gateway starts while Redis is down."""

import logging
from pathlib import Path

import msgspec

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.documents import UNREADABLE
from serving_gateway.rollout.files import replace_file

_log = logging.getLogger(__name__)


class LastKnownGood:
    """One file per gateway in `folder`; a new gateway starts from the newest state that any of them served."""

    def __init__(self, folder: Path, gateway: str) -> None:
        self._folder = folder
        self._path = folder / f"{gateway}.json"

    def save(self, state: RolloutState) -> None:
        """Keep `state`."""
        replace_file(self._path, msgspec.json.encode(state))

    def load(self) -> RolloutState | None:
        """The newest state kept on this machine, or None."""
        found = (_read(path) for path in self._folder.glob("*.json"))
        return max((s for s in found if s is not None), key=lambda s: s.position, default=None)


def _read(path: Path) -> RolloutState | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=RolloutState)
    except UNREADABLE as error:
        _log.warning("%s is unreadable and ignored: %s", path, error)
        return None
