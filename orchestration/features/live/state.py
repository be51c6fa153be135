"""What an updater knows: base, events, watermark, position; loaded from lake and journal, carried over to a new base."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from orchestration.features.live.affected import Affected, add_all
from orchestration.features.live.base import Base
from orchestration.features.live.events import Event, instant, micros
from orchestration.features.live.history import History
from orchestration.features.live.intake import Taken, advanced, is_new, take
from orchestration.features.live.journal import Journal, Record
from orchestration.features.live.lake import events_before
from orchestration.features.live.stream import order


@dataclass
class State:
    """The set of events and how far it is.

    Attributes:
        base: what it rests on.
        history: the events.
        watermark: UTC.
        position: id of the last stream entry that was taken.
        events: distinct ones since the base.
    """

    base: Base
    history: History
    watermark: datetime
    position: str
    events: int = 0

    def apply(self, events: Iterable[tuple[str, Event]], last: str) -> tuple[Taken, Affected]:
        """Take events with the ids of their entries, up to the entry `last`.

        Returns what became of them, and the keys whose rows may have changed. `taken.records` belong into the journal
        before anybody is told of it.
        """
        before = self.watermark
        taken = take(events, self.history, before, self.base)
        affected = self.history.settle()
        add_all(affected, self.history.passed(before, taken.watermark))
        if taken.watermark.date() != before.date():
            self.history.forget(taken.watermark)
        if not taken.records or taken.records[-1].id != last:
            taken.records.append(Record(id=last, watermark_us=micros(taken.watermark)))
        self.watermark, self.position = taken.watermark, last
        self.events += taken.distinct
        return taken, affected


def load(base: Base, records: Iterable[Record], lake: Path) -> State:
    """The state of lake and journal. Reads the raw partitions before the base, in about a second."""
    state = State(base, History.of(events_before(lake, base.as_of)), base.as_of, base.position)
    for record in records:
        state.position = record.id
        state.watermark = max(state.watermark, instant(record.watermark_us))
        if record.event is not None:
            state.events += is_new(record.event, state.history)
            state.history.add(record.event)
            state.watermark = advanced(state.watermark, record.event)
    state.history.settle()
    state.history.forget(state.watermark)
    return state


def given_up(mine: Base | None, base: Base) -> datetime | None:
    """From which event time on a new base gives up the time line of `mine`; None where that goes on.

    It was given up as well where the base bars entries that the one before did not: then a rewind between the two was
    missed, and all that the journal told is given up with it.
    """
    if base.rewind:
        return base.as_of
    if mine is not None and order(base.position) > order(mine.position):
        return min(mine.as_of, base.as_of)
    return None


def adopt(journal: Journal, base: Base) -> None:
    """Carry the journal over to a new base.

    Of a time line that goes on, the events from the base's time on are kept, with position and watermark; of one that
    was given up, nothing. Where the base lies before the one that stands, the lake goes on telling of the time up to
    that one, read anew: the journal does not reach further back.
    """
    mine = journal.base
    if mine is None or given_up(mine, base) is not None:
        journal.begin(base, [])
        return
    begun = msgspec.structs.replace(base, position=mine.position, as_of_us=max(base.as_of_us, mine.as_of_us))
    kept = []
    position, watermark = mine.position, mine.as_of
    for record in journal.records():
        position, watermark = record.id, max(watermark, instant(record.watermark_us))
        if record.event is not None:
            watermark = advanced(watermark, record.event)
            if record.event.event_time >= begun.as_of:
                kept.append(record)
    end = Record(id=position, watermark_us=micros(watermark))
    journal.begin(begun, [*kept, end])
