"""The journal: on disk before it counts, read again as it was, torn by no crash."""

from pathlib import Path

import msgspec
import pytest

from orchestration.incidents.entries import (
    Asked,
    Commented,
    Documented,
    Entry,
    Following,
    NoJira,
    Opened,
    Refused,
    Started,
)
from orchestration.incidents.records import Records, read_journal
from tests.orchestration.incidents.happenings import NOW, alert, heard, rollback, trial

ENTRIES: list[Entry] = [
    heard(alert()),
    rollback(trial(evidence="1-8-x.json")[-1]),
    Documented(incident="a", signs=2),
    Asked(incident="a", at=NOW),
    Opened(incident="a", issue="OPS-1", with_end=True),
    Commented(incident="a"),
    Refused(incident="a", reason="no"),
    NoJira(incident="a"),
    Started(at=NOW),
    Following(at=NOW),
]


def test_every_kind_of_line_is_read_as_it_was_written(tmp_path: Path) -> None:
    records = Records(tmp_path / "follow_up" / "incidents.jsonl")
    for entry in ENTRIES:
        records.add(entry)
    assert read_journal(tmp_path / "follow_up" / "incidents.jsonl") == ENTRIES


def test_a_line_that_its_writer_did_not_end_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "incidents.jsonl"
    records = Records(path)
    records.add(ENTRIES[0])
    whole = msgspec.json.encode(ENTRIES[1])
    with path.open("ab") as file:
        file.write(whole[: len(whole) // 2])
    again = Records(path)
    again.add(ENTRIES[1])
    assert [one.name for one in Records(path).incidents()] == ["inference-outage", "rollback-delay-v2"]
    assert f"{path}: passed over line 2" in caplog.text


def test_what_the_disk_refuses_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    records = Records(path)
    path.mkdir()
    with pytest.raises(OSError, match=r"incidents\.jsonl"):
        records.hear(heard(alert()))
    assert records.incidents() == []
    path.rmdir()
    assert records.hear(heard(alert()))[0], "sent again, it is new"


def test_a_repeated_notification_is_not_kept_again(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    records = Records(path)
    new, incident = records.hear(heard(alert()))
    assert (new, records.hear(heard(alert()))) == (True, (False, incident))
    assert records.hear(heard(alert(ended=NOW))) == (True, incident)
    assert len(read_journal(path)) == 2
