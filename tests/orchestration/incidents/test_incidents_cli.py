"""`python -m orchestration.incidents draft`: a document by hand."""

from datetime import timedelta
from pathlib import Path

import pytest

from orchestration.incidents.__main__ import main
from orchestration.incidents.process import only_one
from orchestration.json_lines import append_line
from orchestration.settings import Settings
from tests.orchestration.foreign_server import foreign_server
from tests.orchestration.incidents.happenings import NOW, alert, heard, trial
from tests.orchestration.incidents.receivers import write_audit

PERIOD = ["--start", "2026-11-29T07:50", "--end", "2026-11-29T10:30+02:00"]


@pytest.mark.integration
def test_a_draft_holds_what_is_known_of_its_period(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("INCIDENTS_PATH", str(tmp_path / "docs"))
    monkeypatch.setenv("DAGSTER_PORT", "1")
    append_line(tmp_path / "follow_up" / "incidents.jsonl", heard(alert(ended=NOW + timedelta(minutes=1))))
    write_audit(redis_url, trial())
    assert main(["draft", *PERIOD, "--title", "Answers were slow", "--severity", "SEV1"]) == 0
    path = tmp_path / "docs" / "2026-11-29-answers-were-slow.md"
    assert capsys.readouterr().out == f"{path}\n"
    text = path.read_text()
    for said in (
        "# Incident: Answers were slow",
        "| severity | SEV1 |",
        "| ended (UTC) | 2026-11-29 08:30:00 |",
        "alert ends: SEV1 InferenceOutage",
        "1:9 rolled_back",
        "a person wrote this down",
    ):
        assert said in text
    assert "1:7 canary" in text, "the trial of that time is told whole"
    assert main(["draft", *PERIOD, "--title", "Answers were slow"]) == 0
    assert len(list((tmp_path / "docs").glob("*.md"))) == 1, "the same again extends it"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["draft", "--start", "2026-11-29", "--end", "2026-11-28", "--title", "x"], "--end must be after --start"),
        (["draft", "--start", "soon", "--end", "2026-11-28", "--title", "x"], "'soon' is no ISO 8601 instant"),
        (["draft", "--start", "0001-01-01T00:00+10:00", "--end", "2026-11-28", "--title", "x"], "is no ISO 8601"),
        (["draft", *PERIOD, "--title", "  "], "a title must say something"),
        (["draft", *PERIOD], "--title"),
        (["write"], "invalid choice"),
    ],
)
def test_a_bad_argument_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def started(capsys: pytest.CaptureFixture[str]) -> str:
    """What a receiver says that cannot start."""
    assert main([]) == 1
    said = capsys.readouterr().err
    assert said.startswith("incidents: ")
    return said


def test_a_home_has_one_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    journal = Settings(tmp_path).incident_journal
    with only_one(journal):
        assert f"another receiver writes {journal}" in started(capsys)
    with only_one(journal):
        pass


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("JIRA_URL=https://j", "JIRA_PROJECT, JIRA_USER, JIRA_TOKEN_FILE"),
        ("INCIDENTS_PORT=many", "INCIDENTS_PORT must be a port number"),
        ("PLATFORM_HOME=/dev/null/home", "/dev/null"),
    ],
)
def test_a_bad_setting_is_named_at_the_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    said: str,
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    for name in ("JIRA_PROJECT", "JIRA_USER", "JIRA_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(*setting.split("=", 1))
    assert said in started(capsys)


def test_a_port_that_is_taken_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.delenv("JIRA_URL", raising=False)
    with foreign_server(200, {}) as port:
        monkeypatch.setenv("INCIDENTS_PORT", str(port))
        said = started(capsys)
    assert f"port {port} of 127.0.0.1 cannot be listened on (INCIDENTS_PORT): " in said


def test_without_redis_there_is_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert main(["draft", *PERIOD, "--title", "x"]) == 1
    assert "incidents: Redis cannot be read (REDIS_URL, REDIS_PORT)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
