"""The journal's folder through crashes at its dangerous steps."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.features.live.base import Base
from orchestration.features.live.journal import Journal, Record
from tests.orchestration.features.live.feeds import synthetic

EVENTS = synthetic(6, n=20, days=1)[2]
RECORDS = [Record(id=f"{n}-0", watermark_us=n, event=event) for n, event in enumerate(EVENTS, start=1)]
OLD, NEW = (
    Base(id=name, as_of_us=0, position="0-0", set_at_us=n, rewind=False) for n, name in enumerate(("old", "new"))
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A journal on the old base, with records."""
    with Journal(tmp_path) as journal:
        assert journal.base is None
        assert list(journal.records()) == []
        journal.begin(OLD, RECORDS[:5])
        journal.append(RECORDS[5:9])
        journal.append(RECORDS[9:])
    return tmp_path


def reopened(folder: Path) -> tuple[Base | None, list[Record]]:
    with Journal(folder) as journal:
        return journal.base, list(journal.records())


def test_what_was_appended_is_there_in_its_order(folder: Path) -> None:
    assert reopened(folder) == (OLD, RECORDS)


def test_a_crash_before_the_new_base_counts_leaves_the_old_journal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_self: Path, _to: Path) -> None:
        raise OSError("killed")

    with Journal(folder) as journal, monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(OSError, match="killed"):
            journal.begin(NEW, RECORDS[:2])
    assert (folder / "new").exists()
    assert reopened(folder) == (OLD, RECORDS)
    assert not (folder / "new").exists()


def test_a_crash_after_it_counts_leaves_the_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(_folder: Path) -> None:
        raise OSError("killed")

    with Journal(folder) as journal, monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", dies)
        with pytest.raises(OSError, match="killed"):
            journal.begin(NEW, RECORDS[:2])
    assert (folder / "old").exists()
    assert reopened(folder) == (NEW, RECORDS[:2])
    assert not (folder / "old").exists()


@pytest.mark.parametrize("cut", [1, 30, 299])
def test_a_torn_end_is_cut_off_and_written_on(folder: Path, cut: int) -> None:
    path = folder / "old" / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    _, left = reopened(folder)
    assert left == RECORDS[: len(left)]
    assert len(RECORDS) - 3 < len(left) < len(RECORDS)
    with Journal(folder) as journal:
        assert len(list(journal.records())) == len(left)
        journal.append(RECORDS[len(left) :])
    assert reopened(folder) == (OLD, RECORDS)


def test_nothing_can_be_kept_without_a_base(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, pytest.raises(RuntimeError, match="before a base is set"):
        journal.append(RECORDS[:1])
