"""What a new base carries over, over a journal and a lake on disk."""

from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from orchestration.features.live.base import Base, decoded
from orchestration.features.live.events import Departure, Progress, micros
from orchestration.features.live.journal import Journal, Record
from orchestration.features.live.late import LateFiles
from orchestration.features.live.state import adopt, load
from orchestration.features.skew.late import late_rows, missed
from orchestration.features.views import LEAD
from orchestration.ingestion.partitions import write_partitions
from tests.orchestration.features.live.feeds import empty_state, synthetic
from tests.orchestration.features.reference import START

DAY = timedelta(days=1)
FLIGHTS, WEATHER, EVERYTHING = synthetic(7, n=60, days=2)


def test_a_base_before_the_one_that_stands_leaves_no_hole_between_the_two(tmp_path: Path) -> None:
    for name, frame, at in (("flights", FLIGHTS, "sched_dep"), ("weather", WEATHER, "time_hour")):
        write_partitions(
            frame, tmp_path / "raw" / name, START.date(), (START + 2 * DAY).date(), day=pl.col(at).dt.date()
        )
    stood = Base(id="a", as_of_us=micros(START + DAY - LEAD), position="0-0", set_at_us=1, rewind=False)
    since = [event for event in EVERYTHING if event.event_time >= stood.as_of]
    records = [Record(id=f"1-{n}", watermark_us=stood.as_of_us, event=event) for n, event in enumerate(since)]
    earlier = Base(id="b", as_of_us=micros(START - LEAD), position="0-0", set_at_us=2, rewind=False)
    with Journal(tmp_path / "journal") as journal:
        journal.begin(stood, records)
        before = load(stood, journal.records(), tmp_path)
        adopt(journal, earlier)
        assert journal.base is not None
        after = load(journal.base, journal.records(), tmp_path)
    assert journal.base.id == "b"
    assert after.history.keys() == before.history.keys()
    assert len(after.history) == len(before.history)
    rows = before.history.latest(before.watermark, before.history.keys())
    assert after.history.latest(before.watermark, before.history.keys()) == rows
    assert (after.watermark, after.position, after.events) == (before.watermark, before.position, before.events)


@pytest.mark.parametrize("name", ["", ".", "..", "../../lake", "/tmp/elsewhere"])
def test_a_base_whose_id_would_lead_out_of_the_journal_is_as_good_as_lost(name: str) -> None:
    base = {"id": name, "as_of_us": 0, "position": "0-0", "set_at_us": 1, "rewind": True}
    assert decoded(msgspec.json.encode(base)) is None


def test_a_correction_that_ranks_lower_is_told_from_what_was_sent_twice() -> None:
    left = next(event for event in EVERYTHING if isinstance(event, Departure))
    earlier = msgspec.structs.replace(left, at=left.at - timedelta(minutes=1))
    state = empty_state()
    sent = [left, left, earlier, earlier, Progress(at=left.at)]
    taken, _ = state.apply([(f"{n}-0", event) for n, event in enumerate(sent, 1)], "5-0")
    assert taken.outcomes == {
        ("departure", "applied"): 1,
        ("departure", "duplicate"): 1,
        ("departure", "superseded"): 2,
        ("progress", "duplicate"): 1,
    }
    assert state.history.known(left) == left
    assert taken.late == []


def test_a_late_correction_tells_what_was_believed_before_it(tmp_path: Path) -> None:
    left = next(event for event in EVERYTHING if isinstance(event, Departure) and event.tailnum is not None)
    later = msgspec.structs.replace(left, at=left.at + timedelta(minutes=5))
    row = pl.DataFrame({"event_timestamp": [left.at + timedelta(minutes=2)], "tailnum": [left.tailnum]})
    for arrives in (timedelta(minutes=3), timedelta(minutes=30)):
        state, files = empty_state(), LateFiles(tmp_path / f"{arrives}")
        sent = [left, Progress(at=left.at + arrives), later, later]
        taken, _ = state.apply([(f"{n}-0", event) for n, event in enumerate(sent, 1)], "4-0")
        files.append(taken.late)
        late = late_rows(tmp_path / f"{arrives}", left.at.date())
        told = missed(row.cast({"event_timestamp": pl.Datetime("us", "UTC")}), late, "tail_departures")
        assert told.to_list() == [True], "between the two times, before the correction came"
