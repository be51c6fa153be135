"""The files of late events: by day, each once, and whole again after a crash in the middle of a line."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec

from orchestration.features.live.base import Base
from orchestration.features.live.events import micros
from orchestration.features.live.late import LateEvent, LateFiles, late_file, read_late
from orchestration.features.live.policy import LATE_KEPT
from tests.orchestration.features.live.feeds import synthetic

EVENTS = synthetic(4, n=30, days=2)[2]
DAYS = sorted({event.event_time.date() for event in EVENTS})
LATE = [LateEvent(event=event, watermark_us=n, applied=n % 2 == 0) for n, event in enumerate(EVENTS)]


def of(day: date) -> list[LateEvent]:
    return [one for one in LATE if one.event.event_time.date() == day]


def test_an_event_lies_by_the_day_of_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "late"
    LateFiles(folder).append(LATE[:50])
    LateFiles(folder).append(LATE[50:])
    assert len(DAYS) > 1
    for day in DAYS:
        assert read_late(folder, day) == of(day)
    assert read_late(folder, date(1999, 1, 1)) == []


def test_one_that_was_told_twice_is_one(tmp_path: Path) -> None:
    day = DAYS[0]
    LateFiles(tmp_path).append(of(day))
    LateFiles(tmp_path).append([LateEvent(event=one.event, watermark_us=10**9, applied=one.applied) for one in of(day)])
    assert read_late(tmp_path, day) == of(day)


def test_one_that_is_sent_again_and_again_is_one_line(tmp_path: Path) -> None:
    day = DAYS[0]
    files = LateFiles(tmp_path)
    files.append(of(day))
    size = late_file(tmp_path, day).stat().st_size
    files.append([LateEvent(event=one.event, watermark_us=10**9, applied=one.applied) for one in of(day)])
    LateFiles(tmp_path).append(of(day))
    assert late_file(tmp_path, day).stat().st_size == size


def test_files_older_than_what_is_read_go_and_do_not_come_back(tmp_path: Path) -> None:
    day, *later = DAYS
    files = LateFiles(tmp_path)
    files.append(LATE)
    end = datetime.combine(day, time(23, 59), UTC) + LATE_KEPT
    files.forget(end)
    assert read_late(tmp_path, day) == of(day)
    files.forget(end + timedelta(minutes=1))
    files.append(of(day))
    assert [path.name for path in sorted(tmp_path.iterdir())] == [late_file(tmp_path, day).name for day in later]
    files.forget(end)
    files.append(of(day))
    assert read_late(tmp_path, day) == of(day), "after a rewind its day is kept again"


def test_a_torn_line_is_left_out_and_what_follows_it_is_read(tmp_path: Path) -> None:
    day = DAYS[0]
    first, second = of(day)[:2], of(day)[2:4]
    LateFiles(tmp_path).append(first)
    path = late_file(tmp_path, day)
    path.write_bytes(path.read_bytes()[:-9])
    LateFiles(tmp_path).append(second)
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
    LateFiles(tmp_path).append([*came, *of(last)])
    LateFiles(tmp_path).give_up(base, noon)
    before = [one for one in came if one.event.event_time < noon]
    assert [one.event for one in read_late(tmp_path, first)] == [one.event for one in before]
    for one, stood in zip(read_late(tmp_path, first), before, strict=True):
        assert one.watermark_us == min(stood.watermark_us, micros(noon))
        assert one.applied == (stood.watermark_us >= micros(noon)), "the lake tells the new time line"
    assert read_late(tmp_path, last) == []
    LateFiles(tmp_path).append(mine)
    LateFiles(tmp_path).give_up(base, noon)
    assert read_late(tmp_path, last) == mine
    assert {path.name for path in tmp_path.iterdir()} == {late_file(tmp_path, day).name for day in (first, last)}
