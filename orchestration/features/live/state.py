"""What an updater knows: base, events, watermark, position; loaded from lake and journal, carried over to a new base."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from orchestration.features.live.base import Base
from orchestration.features.live.events import instant, micros
from orchestration.features.live.history import History
from orchestration.features.live.intake import advanced, is_new
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
        position: id of the last stream entry that is in the journal.
        events: distinct ones since the base.
    """

    base: Base
    history: History
    watermark: datetime
    position: str
    events: int


def load(base: Base, records: Iterable[Record], lake: Path) -> State:
    """The state of lake and journal. Reads the raw partitions before the base, in about a second."""
    state = State(base, History.of(events_before(lake, base.as_of)), base.as_of, base.position, 0)
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


def adopt(journal: Journal, base: Base) -> None:
    """Carry the journal over to a new base.

    Of a time line that goes on, the events from the base's time on are kept, with position and watermark; of one that
    was given up, nothing. One was given up, too, where entries have been that the journal has: that base was missed.
    """
    mine = journal.base
    if mine is None or base.rewind or order(base.position) > order(mine.position):
        journal.begin(base, [])
        return
    kept = []
    position, watermark_us = mine.position, micros(mine.as_of)
    for record in journal.records():
        position, watermark_us = record.id, max(watermark_us, record.watermark_us)
        if record.event is not None:
            watermark_us = micros(advanced(instant(watermark_us), record.event))
            if record.event.event_time >= base.as_of:
                kept.append(record)
    end = Record(id=position, watermark_us=watermark_us)
    journal.begin(msgspec.structs.replace(base, position=mine.position), [*kept, end])
