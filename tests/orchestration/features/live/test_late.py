"""The files of late events: by day, each once, and whole again after a crash in the middle of a line."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec

from orchestration.features.live.base import Base
from orchestration.features.live.events import micros
from orchestration.features.live.late import LateEvent, append_late, give_up, late_file, read_late
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


def test_a_rewind_gives_up_what_was_late_from_its_time_on(tmp_path: Path) -> None:
    first, last = DAYS[0], DAYS[-1]
    noon = datetime.combine(first, time(12), UTC)
    base = Base(id="new", as_of_us=micros(noon), position="0-0", set_at_us=1, rewind=True)
    hour = timedelta(hours=1)
    came = [
        LateEvent(event=one.event, watermark_us=micros(one.event.event_time + hour), applied=False, base="old")
        for one in of(first)
    ]
    mine = [msgspec.structs.replace(one, base="new") for one in of(last)[:2]]
    append_late(tmp_path, [*came, *of(last)])
    give_up(tmp_path, base, noon)
    before = [one for one in came if one.event.event_time < noon]
    assert [one.event for one in read_late(tmp_path, first)] == [one.event for one in before]
    for one, stood in zip(read_late(tmp_path, first), before, strict=True):
        assert one.watermark_us == min(stood.watermark_us, micros(noon))
        assert one.applied == (stood.watermark_us >= micros(noon)), "the lake tells the new time line"
    assert read_late(tmp_path, last) == []
    append_late(tmp_path, mine)
    give_up(tmp_path, base, noon)
    assert read_late(tmp_path, last) == mine
    assert {path.name for path in tmp_path.iterdir()} == {late_file(tmp_path, day).name for day in (first, last)}
