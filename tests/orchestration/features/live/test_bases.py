"""Bases: what is carried over to a new one, what is given up, and one that is damaged."""

from datetime import timedelta

import polars as pl
import pytest

from orchestration.features.live.base import base_key, read_base
from orchestration.features.live.events import Departure, Progress, micros
from orchestration.features.live.late import late_file, read_late
from orchestration.features.live.stream import send
from orchestration.features.live.watermark import NO_BASE
from orchestration.features.skew.late import late_rows
from orchestration.features.views import LEAD
from orchestration.ingestion.partitions import write_partitions
from tests.orchestration.features.live.feeds import batch_rows, last_moment
from tests.orchestration.features.live.two_days import BATCH_ROWS, END, EVERYTHING, FLIGHTS, WEATHER, all_is_there, run
from tests.orchestration.features.live.updaters import Stand, expected
from tests.orchestration.features.reference import START

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)


def test_a_base_that_is_damaged_is_put_right(stand: Stand) -> None:
    base = stand.base()
    with stand.updater() as updater:
        run(updater)
        stand.online.set(base_key(), b"{")
        run(updater)
    assert read_base(stand.online) == base


def test_a_base_that_is_damaged_before_anybody_has_it_can_be_set_anew(stand: Stand) -> None:
    stand.online.set(base_key(), b"{")
    with stand.updater() as updater:
        run(updater)
        assert updater.problem == NO_BASE
        stand.base()
        run(updater)
        assert updater.problem == ""


def test_a_forward_base_keeps_what_came_since_and_the_lake_tells_the_rest(stand: Stand) -> None:
    lake = stand.settings.lake / "raw"
    for name, frame, at in (("flights", FLIGHTS, "sched_dep"), ("weather", WEATHER, "time_hour")):
        write_partitions(frame, lake / name, START.date(), (START + 2 * DAY).date(), day=pl.col(at).dt.date())
    as_of = START + DAY - LEAD
    early = [event for event in EVERYTHING if event.event_time < as_of]
    since = [event for event in EVERYTHING if event.event_time >= as_of]
    stand.base()
    send(stand.stream, early[::3] + since[:40])
    with stand.updater() as updater:
        run(updater)
        before = stand.watermark()
        forward = stand.base(as_of, rewind=False)
        run(updater)
        document = stand.watermark()
        assert (document.base, document.position, document.events) == (forward.id, before.position, 40)
        assert document.watermark_us == before.watermark_us
        assert [f.name for f in stand.settings.event_journal.iterdir() if f.is_dir()] == [forward.id]
        send(stand.stream, since[20:])
        run(updater)
        assert stand.watermark().duplicates == 20
        assert all_is_there(stand)
        stand.online.flushall()
        run(updater)
    assert all_is_there(stand)


def test_a_rewind_forgets_the_time_line_and_leaves_nothing_of_it(stand: Stand) -> None:
    stand.base()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
        half = [event for event in EVERYTHING if event.event_time <= START + timedelta(hours=20)]
        back = stand.base(rewind=True)
        send(stand.stream, half)
        run(updater)
    document = stand.watermark()
    assert (document.base, document.events) == (back.id, len(half))
    at = last_moment(half)
    rows = batch_rows(FLIGHTS, WEATHER, at)
    assert stand.content(BATCH_ROWS | rows) == expected(rows)


@pytest.mark.parametrize("missed", [False, True], ids=["seen", "missed"])
def test_late_events_of_a_time_line_that_was_given_up_explain_nothing_of_the_next(stand: Stand, missed: bool) -> None:
    stand.base()
    late = next(event for event in EVERYTHING if isinstance(event, Departure) and event.at > START + DAY)
    send(stand.stream, [Progress(at=END), late])
    with stand.updater() as updater:
        run(updater)
        assert late_rows(stand.settings.late_events, late.at.date()).height == 1
        back = stand.base(rewind=True)
        if missed:
            back = stand.base(rewind=False)
        run(updater)
        assert late_rows(stand.settings.late_events, late.at.date()).is_empty()
        send(stand.stream, [Progress(at=END), late])
        run(updater)
    assert [one.base for one in read_late(stand.settings.late_events, late.at.date())] == [back.id]


def test_files_of_late_events_go_with_the_history_at_a_base_and_as_days_pass(stand: Stand) -> None:
    folder = stand.settings.late_events
    old, kept = (late_file(folder, (START - days * DAY).date()) for days in (20, 3))
    folder.mkdir(parents=True)
    for path in (old, kept):
        path.touch()
    stand.base(rewind=False)
    with stand.updater() as updater:
        run(updater)
        assert list(folder.iterdir()) == [kept]
        send(stand.stream, [Progress(at=START + 7 * DAY)])
        run(updater)
    assert list(folder.iterdir()) == []


def test_a_rewind_that_was_missed_counts_too(stand: Stand) -> None:
    stand.base()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
    stand.base(rewind=True)
    stand.base(rewind=False)
    with stand.updater() as updater:
        run(updater)
    assert (stand.watermark().events, stand.watermark().watermark_us) == (0, micros(START - timedelta(days=1)))
