"""The updater: a cycle takes what waits in the stream, keeps it, and writes what follows from it.

A cycle that fails for a Redis that is away leaves everything as the next one can take it up: what is in the journal is
known, and what could not be written is due.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import redis

from orchestration.features.live.base import Base
from orchestration.features.live.intake import Taken, parse
from orchestration.features.live.journal import Journal
from orchestration.features.live.late import LateFiles
from orchestration.features.live.metrics import Metrics
from orchestration.features.live.policy import BATCH, COUNTED, KEEP, POLL_MS
from orchestration.features.live.rows import layout_problem
from orchestration.features.live.state import State, adopt, given_up, load
from orchestration.features.live.store import NEW_BASE, START, LiveStore
from orchestration.features.live.stream import (
    BEGINNING,
    Entry,
    ids_upto,
    last_id,
    order,
    read,
    refuse,
    sent_ms,
    trim,
    waiting,
)
from orchestration.features.live.watermark import NO_BASE, Refill

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Places:
    """Where an updater finds what it needs, and where late events go.

    `lost` is told of a store that lost what was in it, once it is written anew.
    """

    lake: Path
    layout: Path
    late: Path
    lost: Callable[[Refill], None]


class Updater:
    """One updater over its journal; `cycle` is called again and again."""

    def __init__(
        self, journal: Journal, stream: "redis.Redis", store: LiveStore, places: Places, metrics: Metrics
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._store = store
        self._places = places
        self._late = LateFiles(places.late)
        self._metrics = metrics
        self._state: State | None = None
        self._journaled: deque[str] = deque(maxlen=KEEP)

    @property
    def problem(self) -> str:
        """What somebody should do; empty when all is well."""
        return self._store.document.problem

    def cycle(self, *, block_ms: int = POLL_MS) -> int:
        """Look at the documents, then take what waits, for `block_ms` at most; returns the number of entries.

        Raises redis.RedisError while a Redis is away, OSError where the disk refuses: then the process must end.
        """
        found = self._store.documents()
        problem = self._follow(found.base)
        if self._state is None or problem:
            self._store.wait(problem, found.watermark)
            self._measure_lag(BEGINNING)
            time.sleep(block_ms / 1_000)
            return 0
        state = self._state
        if refill := self._store.restore(state, found):
            self._tell(refill)
        entries = read(self._stream, state.position, count=BATCH, block_ms=block_ms)
        if entries:
            self._apply(state, entries)
        else:
            self._notice_lost_stream(state)
        self._measure(state, full=len(entries) == BATCH)
        return len(entries)

    def _follow(self, theirs: Base | None) -> str:
        """Be on the newest base; returns what is missing for that."""
        mine = self._journal.base
        newer = theirs is not None and (mine is None or (theirs.id != mine.id and theirs.set_at_us > mine.set_at_us))
        if self._state is not None and not newer:
            return ""
        if mine is None and not newer:
            return NO_BASE
        if problem := layout_problem(self._places.layout):
            return problem
        if newer and theirs is not None:
            if since := given_up(mine, theirs):
                self._late.give_up(theirs, since)
            adopt(self._journal, theirs)
        if self._journal.base is not None:
            self._load(self._journal.base, new=newer)
        return ""

    def _load(self, base: Base, *, new: bool) -> None:
        began = time.monotonic()
        state = load(base, self._journal.records(), self._places.lake)
        self._store.begin(self._places.layout, self._state, new_base=new)
        self._state = state
        self._late.forget(state.watermark)
        what = f"{len(state.history)} flights, {state.events} events since, watermark {state.watermark}"
        direction = "rewind" if base.rewind else "forward"
        seconds = time.monotonic() - began
        _log.info("base %s as of %s (%s): %s, loaded in %.2f s", base.id, base.as_of, direction, what, seconds)

    def _tell(self, refill: Refill) -> None:
        self._metrics.refills.labels(refill.reason).inc()
        self._metrics.refill.set(refill.seconds)
        if refill.reason not in (START, NEW_BASE):
            self._places.lost(refill)

    def _apply(self, state: State, entries: list[Entry]) -> None:
        began = time.monotonic()
        events, refused = parse(entries, datetime.now(UTC))
        if refused:
            refuse(self._stream, refused)
            _log.warning("%d entries refused, the first (%s): %s", len(refused), refused[0].entry.id, refused[0].reason)
        taken, affected = state.apply(events, entries[-1].id)
        self._keep(taken)
        self._count(taken, len(refused))
        self._store.write(state, affected)
        self._observe(entries, began)
        self._trim(entries)

    def _keep(self, taken: Taken) -> None:
        """Let the disk have what was taken."""
        self._late.forget(taken.watermark)
        if taken.late:
            self._late.append(taken.late)
        if dropped := [late.event for late in taken.late if not late.applied]:
            _log.warning("%d events came too late and are not applied, the first: %s", len(dropped), dropped[0])
        self._journal.append(taken.records)

    def _count(self, taken: Taken, refused: int) -> None:
        for (kind, outcome), count in taken.outcomes.items():
            self._metrics.events.labels(kind, outcome).inc(count)
        self._metrics.events.labels("unknown", "refused").inc(refused)
        totals = {
            what: sum(n for (_, outcome), n in taken.outcomes.items() if outcome == what)
            for what in ("duplicate", "superseded", "late")
        }
        self._store.count(
            duplicates=totals["duplicate"], superseded=totals["superseded"], late=totals["late"], refused=refused
        )

    def _notice_lost_stream(self, state: State) -> None:
        """Read on from the beginning where the stream forgot what it gave out; what is known is not applied twice.

        Entries of a time line that was given up stay unread, should an old file have brought them back.
        """
        last = last_id(self._stream)
        if order(last) < order(state.position):
            begin = min(last, state.base.position, key=order)
            _log.warning(
                "the stream lost its memory: it ends at %s, known is %s; reading from %s", last, state.position, begin
            )
            state.position = begin
            self._journaled.clear()  # ids of another stream: nothing may be trimmed by them

    def _trim(self, entries: list[Entry]) -> None:
        known = bool(self._journaled)  # else an updater before this one took those before
        self._journaled.extend([e.id for e in entries] if known else ids_upto(self._stream, entries[-1].id, count=KEEP))
        if len(self._journaled) == KEEP:
            trim(self._stream, self._journaled[0])

    def _observe(self, entries: list[Entry], began: float) -> None:
        self._metrics.batch.observe(time.monotonic() - began)
        now_ms = time.time() * 1_000
        for entry in entries:
            self._metrics.readable.observe(max(0.0, now_ms - sent_ms(entry.id)) / 1_000)

    def _measure(self, state: State, *, full: bool) -> None:
        """After a cycle that did not take all it may, nothing waits."""
        self._metrics.store_up.set(1)
        self._metrics.watermark.set(state.watermark.timestamp())
        if full:
            self._measure_lag(state.position)
        else:
            self._metrics.lag_entries.set(0)
            self._metrics.lag.set(0)

    def _measure_lag(self, after: str) -> None:
        count, oldest_ms = waiting(self._stream, after, at_most=COUNTED)
        self._metrics.lag_entries.set(count)
        self._metrics.lag.set(0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1_000))
