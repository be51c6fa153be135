"""The files of late events: by day, each once, and whole again after a crash in the middle of a line."""

from datetime import date
from pathlib import Path

from orchestration.features.live.late import LateEvent, append_late, late_file, read_late
from tests.orchestration.features.live.feeds import synthetic

EVENTS = synthetic(4, n=30, days=2)[2]
DAYS = sorted({event.event_time.date() for event in EVENTS})
LATE = [LateEvent(event=event, watermark_us=n, applied=n % 2 == 0) for n, event in enumerate(EVENTS)]


def of(day: date) -> list[LateEvent]:
    return [one for one in LATE if one.event.event_time.date() == day]


def test_an_event_lies_by_the_day_of_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "late"
    append_late(folder, LATE[:50])
    append_late(folder, LATE[50:])
    assert len(DAYS) > 1
    for day in DAYS:
        assert read_late(folder, day) == of(day)
    assert read_late(folder, date(1999, 1, 1)) == []


def test_one_that_was_told_twice_is_one(tmp_path: Path) -> None:
    day = DAYS[0]
    append_late(tmp_path, of(day))
    append_late(tmp_path, [LateEvent(event=one.event, watermark_us=10**9, applied=one.applied) for one in of(day)])
    assert read_late(tmp_path, day) == of(day)


def test_a_torn_line_is_left_out_and_what_follows_it_is_read(tmp_path: Path) -> None:
    day = DAYS[0]
    first, second = of(day)[:2], of(day)[2:4]
    append_late(tmp_path, first)
    path = late_file(tmp_path, day)
    path.write_bytes(path.read_bytes()[:-9])
    append_late(tmp_path, second)
    assert read_late(tmp_path, day) == [first[0], *second]
