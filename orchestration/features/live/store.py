"""The online store as an updater keeps it: the rows of keys that changed, then the watermark document.

The document is how a loss is seen: what stands there must be what was written last.
"""

import logging
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import redis

from orchestration.features.live.affected import Affected, add_all
from orchestration.features.live.base import Base, base_key, decoded, put_back
from orchestration.features.live.events import micros
from orchestration.features.live.rows import OnlineRows
from orchestration.features.live.state import State
from orchestration.features.live.watermark import Refill, Watermark, watermark_key, write_watermark
from orchestration.features.views import PROJECT

_log = logging.getLogger(__name__)
START, NEW_BASE, LOST = "start", "new base", "the store lost its memory"
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


class Documents(NamedTuple):
    """What stands in the store: the base, and the bytes of the watermark document."""

    base: Base | None
    watermark: bytes | None


class LiveStore:
    """One updater's online store. A write that fails is made up for by the next one: nothing is forgotten until it is in."""

    def __init__(self, client: "redis.Redis", project: str = PROJECT) -> None:
        self._client = client
        self._project = project
        self._rows: OnlineRows | None = None
        self._pending: Affected = {}
        self._refill_for = START
        self._written = b""
        self.document = Watermark()

    def documents(self) -> Documents:
        """One round trip."""
        found: Any = self._client.mget([base_key(self._project), watermark_key(self._project)])
        base, watermark = found
        return Documents(decoded(base), watermark)

    def begin(self, layout: Path, before: State | None, *, new_base: bool) -> None:
        """A state was loaded: the whole store is to be written. Raises FileNotFoundError where no layout was exported.

        What was written of the state before and has no row in the new one goes.
        """
        self._rows = OnlineRows(self._client, self._project, layout)
        add_all(self._pending, before.history.keys() if before else {})
        self._refill_for = NEW_BASE if new_base else START

    def restore(self, state: State, found: Documents) -> Refill | None:
        """Write what is due: everything, where the store is not what was left; returns how that went."""
        if found.base is None or found.base.id != state.base.id:
            put_back(self._client, state.base, self._project)
        reason = self._refill_for
        if reason == START and found.watermark is None:
            reason = LOST  # while no updater ran
        if not reason and found.watermark != self._written:
            reason = self._what_happened(found.watermark, state.base)
            self._written = self._written if reason else found.watermark or b""
        if reason:
            return self._refill(state, reason, found.watermark)
        if self._pending:
            self.write(state, {})
        return None

    def write(self, state: State, affected: Affected) -> None:
        """Write the rows of these keys, and of those that could not be written before, and how far the store is then."""
        add_all(self._pending, affected)
        self._write_rows(state)
        self._write_document(state, self._written)

    def count(self, **more: int) -> None:
        """Add to the document's counters; it is written with the next rows."""
        totals = {name: getattr(self.document, name) + n for name, n in more.items()}
        self.document = msgspec.structs.replace(self.document, **totals)

    def wait(self, problem: str, found: bytes | None) -> None:
        """Say in the document why nothing is applied."""
        said = self.document.problem
        self._say(problem)
        if found is None or found != self._written or said != problem:
            write_watermark(self._client, self.document, self._project)
            self._written = msgspec.json.encode(self.document)

    def _refill(self, state: State, reason: str, found: bytes | None) -> Refill:
        began = time.monotonic()
        if self._written == b"":
            self.document = _remembered(found, state.base)
        self._refill_for = reason
        add_all(self._pending, state.history.keys())
        rows = self._write_rows(state)
        refill = Refill(reason=reason, seconds=time.monotonic() - began, at_us=time.time_ns() // 1_000, rows=rows)
        self.count(refills=1)
        self.document = msgspec.structs.replace(self.document, last_refill=refill, problem="")
        self._refill_for = ""
        self._write_document(state, found)
        _log.info("wrote the whole online store, %d rows in %.2f s: %s", rows, refill.seconds, reason)
        return refill

    def _write_rows(self, state: State) -> int:
        if self._rows is None:
            raise RuntimeError("rows are written once a state was loaded")
        written = self._rows.write(state.history.latest(state.watermark, self._pending), self._pending)
        self._pending = {}
        return written

    def _write_document(self, state: State, expected: bytes | None) -> None:
        """Where the old document is not what we expect, the store may have lost what was just written to it, too."""
        self.document = msgspec.structs.replace(
            self.document,
            base=state.base.id,
            position=state.position,
            watermark_us=micros(state.watermark),
            applied_at_us=max(time.time_ns() // 1_000, self.document.applied_at_us + 1),
            events=state.events,
        )
        stood = write_watermark(self._client, self.document, self._project)
        self._written = msgspec.json.encode(self.document)
        self.document = msgspec.structs.replace(self.document, problem="")
        if stood != expected:
            self._refill_for = self._what_happened(stood, state.base)

    def _what_happened(self, found: bytes | None, base: Base) -> str:
        """Why a store must be written anew whose document is not what was written; empty where it need not.

        Whoever is ahead of us on our own base is another updater.
        """
        if found is None:
            return LOST
        try:
            theirs = msgspec.json.decode(found, type=Watermark)
        except _UNREADABLE:
            return "the watermark document was overwritten"
        if theirs.base != base.id:
            return "the store is of another base"
        if theirs.applied_at_us <= self.document.applied_at_us:
            return "the store went back in time"
        self._say("another updater writes to this store: stop one of them")
        return ""

    def _say(self, problem: str) -> None:
        if self.document.problem != problem:
            _log.warning("%s", problem)
        self.document = msgspec.structs.replace(self.document, problem=problem)


def _remembered(found: bytes | None, base: Base) -> Watermark:
    """The counters of the updater before this one, where it left them in the store."""
    try:
        document = msgspec.json.decode(found or b"{}", type=Watermark)
    except _UNREADABLE:
        return Watermark()
    return document if document.base == base.id else Watermark()
