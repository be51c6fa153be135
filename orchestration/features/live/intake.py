"""What becomes of entries of the stream, one after the other: applied, known already, superseded, too late, or no event."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from orchestration.features.live.base import Base
from orchestration.features.live.events import Event, EventError, Progress, Scheduled, Weather, decode, kind_of, micros
from orchestration.features.live.history import History
from orchestration.features.live.journal import Record
from orchestration.features.live.late import LateEvent
from orchestration.features.live.policy import AHEAD, LATENESS
from orchestration.features.live.stream import Entry, Refused


@dataclass
class Taken:
    """What a batch came to.

    Attributes:
        watermark: after the batch, UTC.
        records: for the journal.
        late: for the files of late events.
        outcomes: count by (kind, outcome); outcomes are applied, duplicate, superseded, late.
        distinct: how many events were new.
    """

    watermark: datetime
    records: list[Record] = field(default_factory=list)
    late: list[LateEvent] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    distinct: int = 0


def parse(entries: Iterable[Entry], now: datetime) -> tuple[list[tuple[str, Event]], list[Refused]]:
    """The events of entries with their ids, and the entries that hold none. `now` is the wall clock."""
    events, refused = [], []
    for entry in entries:
        try:
            event = decode(entry.data if entry.data is not None else b"")
            _check_future(event, now)
            events.append((entry.id, event))
        except EventError as error:
            refused.append(Refused(entry, str(error)))
    return events, refused


def take(events: Iterable[tuple[str, Event]], history: History, watermark: datetime, base: Base) -> Taken:
    """Take events into the history (its frames are the caller's to settle).

    Args:
        events: with the ids of their entries, in the stream's order.
        history: what is known.
        watermark: before them, UTC.
        base: what has a time before its `as_of` is the lake's to tell.
    """
    taken = Taken(watermark)
    for entry_id, event in events:
        _offer(event, entry_id, history, base, taken)
    return taken


def advanced(watermark: datetime, event: Event) -> datetime:
    """The watermark after an event: schedules and reports are told ahead and do not move it."""
    return watermark if isinstance(event, Scheduled | Weather) else max(watermark, event.event_time)


def is_new(event: Event, history: History) -> bool:
    """Whether it counts as one more distinct event; progress is none."""
    return not isinstance(event, Progress) and history.known(event) is None


def _offer(event: Event, entry_id: str, history: History, base: Base, taken: Taken) -> None:
    outcome = _outcome(event, history, base.as_of, taken.watermark)
    taken.outcomes[kind_of(event), outcome] += 1
    before_us = micros(taken.watermark)
    if event.event_time < taken.watermark and outcome in ("applied", "late"):
        applied = outcome == "applied"
        taken.late.append(LateEvent(event=event, watermark_us=before_us, applied=applied, base=base.id))
    if outcome == "applied":
        stood = history.known(event)
        if stood is not None and stood.event_time < taken.watermark:
            taken.late.append(
                LateEvent(event=stood, watermark_us=before_us, applied=True, base=base.id, corrected=True)
            )
        taken.distinct += is_new(event, history)
        history.add(event)
        taken.records.append(Record(id=entry_id, watermark_us=before_us, event=event))
        taken.watermark = advanced(taken.watermark, event)


def _outcome(event: Event, history: History, as_of: datetime, watermark: datetime) -> str:
    if isinstance(event, Progress):
        return "applied" if event.at > watermark else "duplicate"
    if not history.would_change(event):
        return "duplicate" if history.known(event) == event else "superseded"
    return "late" if event.event_time < max(as_of, watermark - LATENESS) else "applied"


def _check_future(event: Event, now: datetime) -> None:
    if event.of != "flights" and event.event_time > now + AHEAD:
        raise EventError(
            f"$: {event.event_time:%Y-%m-%dT%H:%M:%SZ} lies more than {AHEAD.total_seconds() / 60:.0f} minutes in the future"
        )
