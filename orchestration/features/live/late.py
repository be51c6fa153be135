"""Events that came after the watermark had passed them, by the UTC day of their event time: what was served without them."""

import os
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.drift.folder import write_whole
from orchestration.features.live.base import Base
from orchestration.features.live.events import Event, micros

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class LateEvent(Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        event: what came.
        watermark_us: the watermark then, UTC microseconds since the epoch; what was served between the event's time and
            this did not know the event.
        applied: whether it was within the bound and what is stored follows from it now.
        base: id of the base of the time line in which it came.
    """

    event: Event
    watermark_us: int
    applied: bool
    base: str = ""


_DECODER = msgspec.json.Decoder(LateEvent)


def late_file(folder: Path, day: date) -> Path:
    """Where the late events of a day lie under PLATFORM_HOME/features/late."""
    return folder / f"{day.isoformat()}.jsonl"


def append_late(folder: Path, late: Iterable[LateEvent]) -> None:
    """Add late events to the files of their days, on disk. Raises OSError."""
    by_day: dict[date, list[LateEvent]] = {}
    for one in late:
        by_day.setdefault(one.event.event_time.date(), []).append(one)
    folder.mkdir(parents=True, exist_ok=True)
    for day, events in by_day.items():
        with late_file(folder, day).open("ab") as file:
            # A line that a crash cut off ends here.
            file.write(_lines(events))
            file.flush()
            os.fsync(file.fileno())


def give_up(folder: Path, base: Base, since: datetime) -> None:
    """Forget what earlier bases' time lines had late from the event time `since` on: `base` gives that up. Raises OSError.

    What happened before and came after it counts as known at `since`: the lake tells it to the new time line.
    """
    for path in sorted(folder.glob("*.jsonl")):
        stood = read_late(folder, date.fromisoformat(path.stem))
        left = [
            one if one.base == base.id or one.watermark_us < micros(since) else _known_at(one, since)
            for one in stood
            if one.base == base.id or one.event.event_time < since
        ]
        if not left:
            path.unlink()
        elif left != stood:
            write_whole(path, lambda draft, left=left: draft.write_bytes(_lines(left)))  # type: ignore[misc]


def read_late(folder: Path, day: date) -> list[LateEvent]:
    """The late events of a UTC day of event time, each once, in the order in which they came; torn lines are left out."""
    path = late_file(folder, day)
    found: dict[bytes, LateEvent] = {}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            one = _DECODER.decode(line)
        except _UNREADABLE:
            continue
        found.setdefault(msgspec.json.encode((one.event, one.applied)), one)
    return list(found.values())


def _known_at(late: LateEvent, since: datetime) -> LateEvent:
    return msgspec.structs.replace(late, watermark_us=micros(since), applied=True)


def _lines(events: Iterable[LateEvent]) -> bytes:
    return b"".join(b"\n" + msgspec.json.encode(one) for one in events)
