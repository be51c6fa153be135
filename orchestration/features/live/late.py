"""Events that came after the watermark had passed them, by the UTC day of their event time: what was served without them."""

import os
from collections.abc import Iterable
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.drift.folder import write_whole
from orchestration.features.live.base import Base
from orchestration.features.live.events import Event, micros
from orchestration.features.live.policy import LATE_KEPT

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class LateEvent(Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        event: what came, or what stood until a correction came.
        watermark_us: the watermark then, UTC microseconds since the epoch; what was served between the event's time and
            this did not know the event.
        applied: whether it was within the bound and what is stored follows from it now.
        base: id of the base of the time line in which it came.
        corrected: whether it is what stood: what was served from its time on believed it.
    """

    event: Event
    watermark_us: int
    applied: bool
    base: str = ""
    corrected: bool = False


_DECODER = msgspec.json.Decoder(LateEvent)


def late_file(folder: Path, day: date) -> Path:
    """Where the late events of a day lie under PLATFORM_HOME/features/late."""
    return folder / f"{day.isoformat()}.jsonl"


class LateFiles:
    """The files as the one updater that writes them keeps them: each event once, however often it comes.

    They go back as far behind the watermark as the events that rows are computed from, and as long as events are
    applied late: LATE_KEPT.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._oldest = date.min
        self._told: dict[date, set[bytes]] = {}

    def append(self, late: Iterable[LateEvent]) -> None:
        """Add late events to the files of their days, on disk; not those of days that are kept no more. Raises OSError."""
        by_day: dict[date, list[LateEvent]] = {}
        for one in late:
            day = one.event.event_time.date()
            if day >= self._oldest and (key := _digest(one)) not in (told := self._told_of(day)):
                told.add(key)
                by_day.setdefault(day, []).append(one)
        self._folder.mkdir(parents=True, exist_ok=True)
        for day, events in by_day.items():
            with late_file(self._folder, day).open("ab") as file:
                # A line that a crash cut off ends here.
                file.write(_lines(events))
                file.flush()
                os.fsync(file.fileno())

    def forget(self, watermark: datetime) -> None:
        """Remove the files of days that lie further behind the watermark than LATE_KEPT. Raises OSError."""
        oldest = (watermark - LATE_KEPT).date()
        if oldest == self._oldest:
            return
        self._oldest = oldest
        for day in _days(self._folder):
            if day < oldest:
                late_file(self._folder, day).unlink()
                self._told.pop(day, None)

    def give_up(self, base: Base, since: datetime) -> None:
        """Forget what earlier bases' time lines had late from the event time `since` on: `base` gives that up.

        What happened before and came after it counts as known at `since`: the lake tells it to the new time line.
        Raises OSError.
        """
        self._told.clear()
        for day in _days(self._folder):
            stood, path = read_late(self._folder, day), late_file(self._folder, day)
            left = [
                one if one.base == base.id or one.watermark_us < micros(since) else _known_at(one, since)
                for one in stood
                if one.base == base.id or one.event.event_time < since
            ]
            if not left:
                path.unlink()
            elif left != stood:
                write_whole(path, lambda draft, left=left: draft.write_bytes(_lines(left)))  # type: ignore[misc]

    def _told_of(self, day: date) -> set[bytes]:
        if day not in self._told:
            self._told[day] = {_digest(one) for one in read_late(self._folder, day)}
        return self._told[day]


def read_late(folder: Path, day: date) -> list[LateEvent]:
    """The late events of a UTC day of event time, each once, in the order in which they came; torn lines are left out."""
    path = late_file(folder, day)
    found: dict[bytes, LateEvent] = {}
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            one = _DECODER.decode(line)
        except _UNREADABLE:
            continue
        found.setdefault(_digest(one), one)
    return list(found.values())


def _digest(late: LateEvent) -> bytes:
    """By which two lines say the same: the later one tells of an event that was sent again."""
    return blake2b(msgspec.json.encode((late.event, late.applied, late.corrected)), digest_size=16).digest()


def _days(folder: Path) -> list[date]:
    return sorted(date.fromisoformat(path.stem) for path in folder.glob("[0-9]*-[0-9][0-9]-[0-9][0-9].jsonl"))


def _known_at(late: LateEvent, since: datetime) -> LateEvent:
    return msgspec.structs.replace(late, watermark_us=micros(since), applied=True)


def _lines(events: Iterable[LateEvent]) -> bytes:
    return b"".join(b"\n" + msgspec.json.encode(one) for one in events)
