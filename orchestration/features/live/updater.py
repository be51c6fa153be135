"""The updater: a cycle takes what waits in the stream, keeps it, and writes what follows from it.

A cycle that fails for a Redis that is away leaves everything as it can be taken up again: what is in the journal is known,
and keys whose rows were not written are written by the next cycle that can.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import redis

from orchestration.features.live.affected import Affected, add_all
from orchestration.features.live.base import Base, write_base
from orchestration.features.live.events import micros
from orchestration.features.live.intake import Taken, parse, take
from orchestration.features.live.journal import Journal, Record
from orchestration.features.live.late import append_late
from orchestration.features.live.metrics import Metrics
from orchestration.features.live.online_rows import OnlineRows, documents, what_happened
from orchestration.features.live.policy import BATCH, KEEP, POLL_MS
from orchestration.features.live.state import State, adopt, load
from orchestration.features.live.stream import Entry, last_id, order, read, refuse, sent_ms, trim, waiting
from orchestration.features.live.watermark import NO_BASE, Refill, Watermark, write_watermark
from orchestration.features.views import PROJECT

_log = logging.getLogger(__name__)
_NO_LAYOUT = "no layout: materialize feature_registry"
_START, _NEW_BASE = "start", "new base"
_LAG_AT_MOST = 10_000


@dataclass(frozen=True)
class Places:
    """Where an updater finds what it needs. `lost` is told of a store that had to be written anew, and why."""

    lake: Path
    layout: Path
    late: Path
    lost: Callable[[Refill], None]
    project: str = PROJECT


class Updater:
    """One updater over its journal; `cycle` is called again and again."""

    def __init__(
        self, journal: Journal, stream: "redis.Redis", online: "redis.Redis", places: Places, metrics: Metrics
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._online = online
        self._places = places
        self._metrics = metrics
        self._state: State | None = None
        self._rows: OnlineRows | None = None
        self._pending: Affected = {}
        self._refill_for: str = _START
        self._document = Watermark()
        self._written = b""
        self._journaled: deque[str] = deque(maxlen=KEEP)

    @property
    def problem(self) -> str:
        """What somebody should do; empty when all is well."""
        return self._document.problem

    def cycle(self, *, block_ms: int = POLL_MS) -> int:
        """Look at the documents, then take what waits; returns the number of entries.

        Raises redis.RedisError while a Redis is away, OSError where the disk refuses: then the process must end.
        """
        theirs, document = documents(self._online, self._places.project)
        state = self._follow(theirs)
        if state is None:
            self._report_problem(document)
            time.sleep(block_ms / 1_000)
            return 0
        self._restore(state, theirs, document)
        entries = read(self._stream, state.position, count=BATCH, block_ms=block_ms)
        if entries:
            self._apply(state, entries)
        else:
            self._notice_lost_stream(state)
        self._measure(state, entries)
        return len(entries)

    def _follow(self, theirs: Base | None) -> State | None:
        """The state, on a newer base where one was set; None while there is none."""
        mine = self._journal.base
        newer = theirs is not None and (mine is None or (theirs.id != mine.id and theirs.set_at_us > mine.set_at_us))
        if self._state is not None and not newer:
            return self._state
        if (newer or mine) and not self._places.layout.exists():
            self._document = msgspec.structs.replace(self._document, problem=_NO_LAYOUT)
            return None
        if newer and theirs is not None:
            adopt(self._journal, theirs)
        if self._journal.base is None:
            self._document = msgspec.structs.replace(self._document, problem=NO_BASE)
            return None
        return self._load(self._journal.base, new=newer)

    def _load(self, base: Base, *, new: bool) -> State:
        before = self._state
        began = time.monotonic()
        self._state = load(base, self._journal.records(), self._places.lake)
        self._rows = OnlineRows(self._online, self._places.project, self._places.layout)
        # What was written of the time line before, and has no row in this one, must go.
        add_all(self._pending, before.history.keys() if before else {})
        self._refill_for = _NEW_BASE if new else _START
        seconds = time.monotonic() - began
        _log.info(
            "base %s as of %s (%s): %d flights, %d events since, watermark %s, loaded in %.2f s",
            base.id,
            base.as_of,
            "rewind" if base.rewind else "forward",
            self._state.history.flights.height,
            self._state.events,
            self._state.watermark,
            seconds,
        )
        return self._state

    def _restore(self, state: State, theirs: Base | None, document: bytes | None) -> None:
        """Write the store anew where it is not what this updater left."""
        if theirs is None or theirs.id != state.base.id:
            write_base(self._online, state.base, self._places.project)
        reason = self._refill_for
        if not reason and document != self._written:
            reason = what_happened(document, self._written, state.base)
            if not reason:
                self._say("another updater writes to this store: stop one of them")
                self._written = document or b""
        if reason:
            self._refill(state, reason, document)
        elif self._pending:
            self._write(state)

    def _refill(self, state: State, reason: str, document: bytes | None) -> None:
        began = time.monotonic()
        if reason == _START:
            self._document = _remembered(document, state.base)
        add_all(self._pending, state.history.keys())
        self._refill_for = reason
        rows = self._write_rows(state)
        refill = Refill(reason=reason, seconds=time.monotonic() - began, at_us=time.time_ns() // 1_000, rows=rows)
        self._document = msgspec.structs.replace(
            self._document, refills=self._document.refills + 1, last_refill=refill, problem=""
        )
        self._metrics.refills.labels(reason).inc()
        self._metrics.refill.set(refill.seconds)
        self._refill_for = ""
        self._write_document(state, expected=document)
        _log.info("wrote the whole online store, %d rows in %.2f s: %s", rows, refill.seconds, reason)
        if reason not in (_START, _NEW_BASE):
            self._places.lost(refill)

    def _apply(self, state: State, entries: list[Entry]) -> None:
        began = time.monotonic()
        events, refused = parse(entries, datetime.now(UTC))
        if refused:
            refuse(self._stream, refused)
            _log.warning("%d entries refused, the first (%s): %s", len(refused), refused[0].entry.id, refused[0].reason)
        before = state.watermark
        taken = take(events, state.history, before, state.base.as_of)
        self._keep(state, taken, entries)
        add_all(self._pending, state.history.settle())
        add_all(self._pending, state.history.passed(before, state.watermark))
        if state.watermark.date() != before.date():
            state.history.forget(state.watermark)
        self._count(taken, len(refused))
        self._write(state)
        self._observe(entries, began)
        self._trim(entries)

    def _keep(self, state: State, taken: Taken, entries: list[Entry]) -> None:
        """Let the disk have what was taken, and be that far."""
        if taken.late:
            append_late(self._places.late, taken.late)
            dropped = [late for late in taken.late if not late.applied]
            if dropped:
                _log.warning("%d events came too late, the first: %s", len(dropped), dropped[0].event)
        last = entries[-1].id
        if not taken.records or taken.records[-1].id != last:
            taken.records.append(Record(id=last, watermark_us=micros(taken.watermark)))
        self._journal.append(taken.records)
        state.position, state.watermark = last, taken.watermark
        state.events += taken.distinct

    def _count(self, taken: Taken, refused: int) -> None:
        outcomes = taken.outcomes.copy()
        if refused:
            outcomes["unknown", "refused"] = refused
        totals = {"duplicate": 0, "late": 0, "refused": 0, "applied": 0}
        for (kind, outcome), count in outcomes.items():
            self._metrics.events.labels(kind, outcome).inc(count)
            totals[outcome] += count
        self._document = msgspec.structs.replace(
            self._document,
            duplicates=self._document.duplicates + totals["duplicate"],
            late=self._document.late + totals["late"],
            refused=self._document.refused + totals["refused"],
        )

    def _write(self, state: State) -> None:
        self._write_rows(state)
        self._write_document(state, expected=self._written)

    def _write_rows(self, state: State) -> int:
        if self._rows is None:
            raise RuntimeError("rows are written once a base is loaded")
        written = self._rows.write(state.history.latest(state.watermark, self._pending), self._pending)
        self._pending = {}
        return written

    def _write_document(self, state: State, *, expected: bytes | None) -> None:
        """Tell how far the store is. Where the old document is not ours, the store lost what was just written to it too."""
        self._document = msgspec.structs.replace(
            self._document,
            base=state.base.id,
            position=state.position,
            watermark_us=micros(state.watermark),
            applied_at_us=max(time.time_ns() // 1_000, self._document.applied_at_us + 1),
            events=state.events,
        )
        stood = write_watermark(self._online, self._document, self._places.project)
        self._written = msgspec.json.encode(self._document)
        self._metrics.watermark.set(state.watermark.timestamp())
        if stood != expected:
            self._refill_for = what_happened(stood, self._written, state.base)

    def _notice_lost_stream(self, state: State) -> None:
        """Read on from the beginning where the stream forgot what it gave out; what is known is not applied twice.

        Entries of a time line that was given up stay unread, should an old file have brought them back.
        """
        last = last_id(self._stream)
        if order(last) < order(state.position):
            begin = min(last, state.base.position, key=order)
            _log.warning(
                "the event stream lost its memory (at %s, known up to %s): reading from %s", last, state.position, begin
            )
            state.position = begin

    def _trim(self, entries: list[Entry]) -> None:
        before = len(self._journaled)
        self._journaled.extend(entry.id for entry in entries)
        if before == KEEP or len(self._journaled) == KEEP:
            trim(self._stream, self._journaled[0])

    def _report_problem(self, document: bytes | None) -> None:
        """Say why nothing is applied, once, and in the document."""
        self._say(self._document.problem)
        if document is None or document != self._written:
            write_watermark(self._online, self._document, self._places.project)
            self._written = msgspec.json.encode(self._document)
        self._measure_lag("0-0")

    def _say(self, problem: str) -> None:
        if self._said != problem:
            _log.warning("%s", problem)
        self._said = problem
        self._document = msgspec.structs.replace(self._document, problem=problem)

    _said = ""

    def _observe(self, entries: list[Entry], began: float) -> None:
        self._metrics.batch.observe(time.monotonic() - began)
        now_ms = time.time() * 1_000
        for entry in entries:
            self._metrics.readable.observe(max(0.0, now_ms - sent_ms(entry.id)) / 1_000)

    def _measure(self, state: State, entries: list[Entry]) -> None:
        self._metrics.store_up.set(1)
        self._metrics.watermark.set(state.watermark.timestamp())
        if len(entries) < BATCH:
            self._metrics.lag_entries.set(0)
            self._metrics.lag.set(0)
        else:
            self._measure_lag(state.position)

    def _measure_lag(self, after: str) -> None:
        count, oldest_ms = waiting(self._stream, after, at_most=_LAG_AT_MOST)
        self._metrics.lag_entries.set(count)
        self._metrics.lag.set(0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1_000))


def _remembered(document: bytes | None, base: Base) -> Watermark:
    """The counters of the updater before this one, where it left them in the store."""
    try:
        found = msgspec.json.decode(document or b"{}", type=Watermark)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Watermark()
    return found if found.base == base.id else Watermark()
