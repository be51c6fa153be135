"""The journal: whole lines, whoever writes, whatever died before."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from orchestration.notices.journal import append, read
from orchestration.notices.notice import Notice

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def notice(title: str = "It rains") -> Notice:
    return Notice(severity="SEV3", title=title, text="all\nday", link="http://127.0.0.1:3000/runs/1", time=NOW)


def test_what_is_appended_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a home" / "notices.jsonl"
    assert read(path).notices == []
    append(path, notice("one"))
    append(path, notice("two"))
    assert read(path).notices == [notice("one"), notice("two")]
    assert len(path.read_text().splitlines()) == 2
    assert msgspec.json.decode(path.read_bytes().splitlines()[0])["severity"] == "SEV3"


def test_lines_of_several_writers_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    titles = [f"{n} " * 500 for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda title: append(path, notice(title)), titles))
    kept = read(path)
    assert kept.unreadable == []
    assert sorted(n.title for n in kept.notices) == sorted(titles)


@pytest.mark.parametrize("torn", [b'{"severity":"SEV1","ti', b"\xff\xfe", b"[" * 5000])
def test_a_line_that_holds_no_notice_costs_no_other(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "notices.jsonl"
    append(path, notice("before"))
    with path.open("ab") as file:
        file.write(torn)
    append(path, notice("after"))
    kept = read(path)
    assert [n.title for n in kept.notices] == ["before", "after"]
    assert kept.unreadable == [2]


@pytest.mark.parametrize(
    "change", [{"severity": "SEV4"}, {"time": "2026-05-01T12:00:00"}, {"time": "today"}, {"link": None}]
)
def test_a_line_of_another_kind_is_no_notice(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "notices.jsonl"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(notice()) | change) + b"\n")
    assert read(path).unreadable == [1]


def test_a_notice_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    taken = tmp_path / "notices.jsonl"
    taken.mkdir()
    with pytest.raises(OSError, match=r"notices\.jsonl"):
        append(taken, notice())
