"""`python -m orchestration.notices`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.notices.__main__ import main
from orchestration.notices.journal import append
from orchestration.notices.notice import Notice

NOW = datetime.now(UTC)


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path / "notices.jsonl"


def write(journal: Path, *hours_ago: int) -> None:
    for hours in hours_ago:
        time = NOW - timedelta(hours=hours)
        append(journal, Notice(severity="SEV1", title=f"{hours} h [ago]", text="text", link="http://x", time=time))


def titles(out: str) -> list[str]:
    return [json.loads(line)["title"] for line in out.splitlines()]


def test_the_table_shows_the_newest_first(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(journal, 30, 2)
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert shown.index("2 h [ago]") < shown.index("30 h [ago]")
    assert "http://x" in shown


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["2 h [ago]", "30 h [ago]"]),
        (["--since", "24h"], ["2 h [ago]"]),
        (["--since", "90m"], []),
        (["--since", "7d"], ["2 h [ago]", "30 h [ago]"]),
        (["--since", (NOW - timedelta(hours=3)).isoformat()], ["2 h [ago]"]),
        (["--since", "2001-01-01"], ["2 h [ago]", "30 h [ago]"]),
        (["--last", "1"], ["2 h [ago]"]),
    ],
)
def test_a_choice_as_json(
    journal: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: list[str]
) -> None:
    write(journal, 30, 2)
    assert main(["--json", *arguments]) == 0
    assert titles(capsys.readouterr().out) == expected


def test_none_is_said(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == "No notices.\n"


def test_an_unreadable_line_is_named_and_the_rest_shown(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(journal, 2)
    with journal.open("a") as file:
        file.write("{}\n")
    assert main(["--json"]) == 0
    said = capsys.readouterr()
    assert titles(said.out) == ["2 h [ago]"]
    assert said.err == f"{journal}: no notice on line 2\n"


@pytest.mark.parametrize("arguments", [["--since", "tomorrow"], ["--since", "1w"], ["--last", "0"], ["--last", "x"]])
def test_a_bad_argument_is_named(journal: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_one_line(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal.mkdir()
    assert main([]) == 1
    assert str(journal) in capsys.readouterr().err
