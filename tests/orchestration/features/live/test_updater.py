"""Updaters over a real Redis, cycle by cycle: what is applied, lost, refilled, given up and carried over."""

from datetime import timedelta

import msgspec
import pytest

from orchestration.features.live import updater as updater_module
from orchestration.features.live.affected import Affected
from orchestration.features.live.base import read_base
from orchestration.features.live.events import Departure, Progress, Scheduled, Weather, encode, micros
from orchestration.features.live.history import Rows
from orchestration.features.live.journal import Journal, JournalTakenError
from orchestration.features.live.late import read_late
from orchestration.features.live.rows import OnlineRows
from orchestration.features.live.stream import EVENTS, REFUSED, last_id, send
from orchestration.features.live.watermark import NO_BASE, watermark_key
from tests.orchestration.features.live.two_days import BATCH_ROWS, END, EVERYTHING, all_is_there, run
from tests.orchestration.features.live.updaters import Stand
from tests.orchestration.features.reference import START

pytestmark = pytest.mark.integration


def test_events_of_the_stream_end_in_the_store(stand: Stand) -> None:
    base = stand.base()
    last = send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
    assert all_is_there(stand)
    document = stand.watermark()
    assert (document.base, document.position, document.watermark_us) == (base.id, last, micros(END))
    assert (document.events, document.duplicates, document.superseded) == (len(EVERYTHING), 0, 0)
    assert (document.late, document.refused) == (0, 0)
    assert (document.refills, document.problem) == (1, "")


def test_without_a_base_events_wait_and_the_document_says_what_to_do(stand: Stand) -> None:
    send(stand.stream, EVERYTHING[:20])
    with stand.updater() as updater:
        run(updater)
        assert (updater.problem, stand.watermark().problem, stand.watermark().base) == (NO_BASE, NO_BASE, None)
        assert stand.metrics.registry.get_sample_value("features_stream_lag_entries") == 20
        stand.base(rewind=False)
        run(updater)
        assert (stand.watermark().problem, stand.watermark().events) == ("", 20)


def test_a_rewind_bars_what_was_sent_before_it(stand: Stand) -> None:
    send(stand.stream, EVERYTHING[:20])
    stand.base(rewind=True)
    with stand.updater() as updater:
        run(updater)
        assert stand.watermark().events == 0


def test_what_was_applied_is_not_applied_again_after_a_restart(stand: Stand) -> None:
    stand.base()
    send(stand.stream, EVERYTHING[:100])
    with stand.updater() as updater:
        run(updater)
    send(stand.stream, EVERYTHING[50:])
    with stand.updater() as updater:
        run(updater)
    document = stand.watermark()
    assert (document.events, document.duplicates) == (len(EVERYTHING), 50)
    assert all_is_there(stand)


def test_a_journal_whose_last_line_is_torn_goes_on_before_it(stand: Stand) -> None:
    base = stand.base()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
    path = stand.settings.event_journal / base.id / "events.jsonl"
    whole = path.read_bytes()
    assert whole.count(b"\n") == len(EVERYTHING)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    stand.online.flushall()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
    assert [refill.reason for refill in stand.refills] == ["the store lost its memory"]
    assert all_is_there(stand)
    assert stand.watermark().events == len(EVERYTHING)
    assert path.read_bytes().count(b"\n") >= len(EVERYTHING)


def test_a_damaged_line_of_the_journal_is_told_and_passed_over(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    base = stand.base()
    send(stand.stream, EVERYTHING[:10])
    with stand.updater() as updater:
        run(updater)
    path = stand.settings.event_journal / base.id / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"\x00" * 20 + b"\n", *lines[4:]]))
    with stand.updater() as updater:
        run(updater)
    assert "events.jsonl:4 is damaged" in caplog.text
    assert stand.watermark().events == 9


def test_a_second_updater_is_refused(stand: Stand) -> None:
    with stand.updater(), pytest.raises(JournalTakenError, match="another updater runs on"):
        Journal(stand.settings.event_journal)


def test_a_store_that_was_flushed_is_written_anew_and_told(stand: Stand) -> None:
    base = stand.base()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        run(updater)
        stand.online.flushall()
        run(updater)
        assert all_is_there(stand)
        assert [refill.reason for refill in stand.refills] == ["the store lost its memory"]
        document = stand.watermark()
        assert document.last_refill == stand.refills[0]
        assert document.last_refill.rows >= len(BATCH_ROWS)
        assert 0 < document.last_refill.seconds < 60
        assert document.refills == 2
        assert read_base(stand.online) == base
        run(updater)
        assert len(stand.refills) == 1


def test_a_store_that_is_flushed_between_rows_and_document_is_noticed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.base()
    write = OnlineRows.write

    def then_flushed(self: OnlineRows, rows: Rows, of: Affected) -> int:
        written = write(self, rows, of)
        stand.online.delete(*stand.online.scan_iter("*drift"), watermark_key())
        return written

    send(stand.stream, EVERYTHING[:50])
    with stand.updater() as updater:
        run(updater)
        send(stand.stream, EVERYTHING[50:])
        with monkeypatch.context() as patched:
            patched.setattr(OnlineRows, "write", then_flushed)
            updater.cycle(block_ms=1)
        run(updater)
    assert all_is_there(stand)
    assert [refill.reason for refill in stand.refills] == ["the store lost its memory"]


def test_a_store_that_went_back_in_time_is_noticed(stand: Stand) -> None:
    stand.base()
    send(stand.stream, EVERYTHING[:100])
    with stand.updater() as updater:
        run(updater)
        old = {key: stand.online.dump(key) for key in stand.online.scan_iter() if key != EVENTS.encode()}
        send(stand.stream, EVERYTHING[100:])
        run(updater)
        stand.online.flushall()
        for key, value in old.items():
            stand.online.restore(key, 0, value)
        run(updater)
        assert all_is_there(stand)
        assert [refill.reason for refill in stand.refills] == ["the store went back in time"]


def test_an_online_store_of_another_updater_is_left_and_told(stand: Stand) -> None:
    stand.base()
    with stand.updater() as updater:
        run(updater)
        theirs = msgspec.structs.replace(stand.watermark(), applied_at_us=stand.watermark().applied_at_us + 10**9)
        stand.online.set(watermark_key(), msgspec.json.encode(theirs))
        run(updater)
        assert "another updater" in updater.problem
        send(stand.stream, EVERYTHING[:1])
        run(updater)
        assert "another updater" in stand.watermark().problem
        send(stand.stream, EVERYTHING[1:2])
        run(updater)
        assert stand.watermark().problem == "", "it has stopped"
        assert stand.refills == []


def test_what_is_no_event_is_set_aside_with_the_reason(stand: Stand) -> None:
    stand.base()
    future = Progress(at=START + timedelta(days=365 * 100))
    stand.stream.xadd(EVENTS, {"event": b'{"kind": "departure"'})
    stand.stream.xadd(EVENTS, {"something": b"else"})
    send(stand.stream, [future, *EVERYTHING[:5]])
    with stand.updater() as updater:
        run(updater)
    letters = [fields for _, fields in stand.stream.xrange(REFUSED)]
    assert [letter[b"reason"].split(b":")[0] for letter in letters] == [b"$"] * 3
    assert b"in the future" in letters[2][b"reason"]
    assert letters[2][b"event"] == encode(future)
    assert (stand.watermark().refused, stand.watermark().events) == (3, 5)


def test_events_out_of_order_are_told_and_too_late_ones_not_applied(stand: Stand) -> None:
    stand.base()
    moved = [event for event in EVERYTHING if isinstance(event, Departure)]
    too_late, late, rest = moved[0], moved[-2], [e for e in EVERYTHING if e not in (moved[0], moved[-2])]
    assert END - too_late.event_time > timedelta(hours=24) > END - late.event_time
    lower = msgspec.structs.replace(late, delay=late.delay - 1)
    send(stand.stream, [*rest, late, lower, too_late, too_late])
    with stand.updater() as updater:
        run(updater)
    document = stand.watermark()
    assert (document.events, document.superseded, document.late) == (len(EVERYTHING) - 1, 1, 2)
    told = [
        one for day in {e.at.date() for e in (late, too_late)} for one in read_late(stand.settings.late_events, day)
    ]
    assert {encode(one.event): (one.applied, one.watermark_us) for one in told} == {
        encode(late): (True, micros(END)),
        encode(too_late): (False, micros(END)),
    }
    applied = stand.metrics.registry.get_sample_value("features_events_total", {"kind": "departure", "outcome": "late"})
    assert applied == 2


def test_a_schedule_told_ahead_counts_when_its_time_comes(stand: Stand) -> None:
    stand.base()
    flight = next(e for e in EVERYTHING if isinstance(e, Scheduled) and e.event_time > START + timedelta(hours=3))
    key = {("origin_board", (flight.origin,)): ()}
    send(stand.stream, [flight, Progress(at=flight.event_time - timedelta(minutes=1))])
    with stand.updater() as updater:
        run(updater)
        assert stand.content(key) == {}
        send(stand.stream, [Progress(at=flight.event_time)])
        run(updater)
    instant = flight.sched_dep.timestamp()
    (row,) = stand.content(key).values()
    assert row == (flight.event_time.timestamp(), (instant,), (instant,))


def test_a_report_told_ahead_counts_when_its_hour_is_over_and_makes_no_movement_late(stand: Stand) -> None:
    stand.base()
    report = next(e for e in EVERYTHING if isinstance(e, Weather) and e.event_time > START + timedelta(hours=3))
    key = {("origin_weather", (report.origin,)): ()}
    movements = [e for e in EVERYTHING if isinstance(e, Departure) and e.event_time < report.event_time]
    send(stand.stream, [report, *movements])
    with stand.updater() as updater:
        run(updater)
        assert stand.content(key) == {}
        assert stand.watermark().watermark_us == micros(movements[-1].at)
        assert not list(stand.settings.late_events.glob("*"))
        send(stand.stream, [Progress(at=report.event_time)])
        run(updater)
    (row,) = stand.content(key).values()
    assert row[0] == report.event_time.timestamp()


def test_a_stream_that_lost_its_memory_is_read_from_the_beginning(stand: Stand) -> None:
    stand.base(rewind=False)
    with stand.updater() as updater:
        stand.stream.xadd(EVENTS, {"event": encode(EVERYTHING[0])}, id="9000000000000-0")
        run(updater)
        stand.stream.delete(EVENTS)
        run(updater)
        send(stand.stream, EVERYTHING)
        run(updater)
        assert stand.watermark().position == last_id(stand.stream)
    with stand.updater() as updater:
        run(updater)
    assert (stand.watermark().events, stand.watermark().duplicates) == (len(EVERYTHING), 1)
    assert all_is_there(stand)


def test_the_stream_is_trimmed_behind_the_journal(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updater_module, "KEEP", 100)
    stand.base()
    send(stand.stream, EVERYTHING)
    with stand.updater() as updater:
        updater.cycle(block_ms=1)
        ids = [key for key, _ in stand.stream.xrange(EVENTS)]
        assert 100 <= len(ids) <= 200 < len(EVERYTHING)
        assert ids[-1].decode() == stand.watermark().position
