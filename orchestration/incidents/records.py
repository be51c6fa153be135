"""The journal and what follows from it, for the thread that hears and the one that acts."""

import logging
import threading
from pathlib import Path

from orchestration.incidents.entries import Entry, Heard
from orchestration.incidents.incident import Incident
from orchestration.incidents.ledger import Ledger
from orchestration.json_lines import append_line, read_lines

_log = logging.getLogger(__name__)


def read_journal(path: Path) -> list[Entry]:
    """Every line, oldest first. One that cannot be read is told and passed over: the rest stands. Raises OSError."""
    lines = read_lines(path, Entry)
    if lines.unreadable:
        _log.warning("%s: passed over line %s", path, ", ".join(map(str, lines.unreadable)))
    return lines.documents


class Records:
    """A line is on disk before it counts here."""

    def __init__(self, path: Path) -> None:
        """Read what is there. Raises OSError."""
        self._path = path
        self._lock = threading.Lock()
        self._ledger = Ledger(read_journal(path))

    def add(self, entry: Entry) -> None:
        """Raises OSError where the disk refuses it; then it does not count."""
        with self._lock:
            self._add(entry)

    def hear(self, entry: Heard) -> tuple[bool, str]:
        """Keep a notification; whether it said anything new, and the incident that it belongs to. Raises OSError."""
        with self._lock:
            belongs = self._ledger.incident_of(entry.notification)
            if self._ledger.repeated(entry.notification):
                return False, belongs
            self._add(entry)
            return True, self._ledger.incident_of(entry.notification) or belongs

    def incidents(self) -> list[Incident]:
        """All, in the order in which they were noticed."""
        with self._lock:
            return list(self._ledger.incidents.values())

    def heard(self) -> list[Heard]:
        """Every notification."""
        with self._lock:
            return list(self._ledger.heard)

    @property
    def following(self) -> bool:
        """Whether the audit stream has been followed to its end before."""
        with self._lock:
            return self._ledger.following

    def audited(self, entry: str) -> bool:
        """Whether this entry of the audit stream is here already."""
        with self._lock:
            return entry in self._ledger.audited

    def _add(self, entry: Entry) -> None:
        append_line(self._path, entry)
        self._ledger.add(entry)
