"""The sender's command: what is sent, what is not, and how it says so."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from orchestration.features.live.events import encode
from orchestration.features.live.send import main
from orchestration.features.live.stream import EVENTS
from tests.orchestration.features.live.feeds import synthetic
from tests.servers import ROOT, free_port, until

pytestmark = pytest.mark.integration

EVENTS_SENT = synthetic(2, n=20, days=1)[2]
LINES = [encode(event) for event in EVENTS_SENT]


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return redis.Redis.from_url(redis_url)


def sent(client: redis.Redis) -> list[bytes]:
    return [fields[b"event"] for _, fields in client.xrange(EVENTS)]  # type: ignore[union-attr]


def test_a_file_is_sent_in_its_order(client: redis.Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([*LINES, b"", b"  ", b""]))
    assert main([str(path)]) == 0
    assert sent(client) == LINES
    assert capsys.readouterr().out == f"{len(LINES)} events sent\n"


def test_nothing_of_a_file_with_bad_lines_is_sent_and_all_of_them_are_named(
    client: redis.Redis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([LINES[0], b'{"kind": "progress", "at": 7}', LINES[1], b"oh"]))
    assert main([str(path)]) == 1
    assert sent(client) == []
    told = capsys.readouterr().err.splitlines()
    assert told[0] == f"{path}:2: $.at: Expected `datetime`, got `int`"
    assert told[1].startswith(f"{path}:4: $: JSON is malformed")
    assert told[2] == "nothing was sent: 2 bad lines; repair them, or --skip-bad"
    assert main([str(path), "--skip-bad"]) == 1
    assert sent(client) == LINES[:2]
    assert capsys.readouterr().out == "2 events sent, 2 bad lines skipped\n"


def test_standard_input_is_sent_line_by_line(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = io.BytesIO(b"\n".join([LINES[0], b"oh", LINES[1]]))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(lines))
    assert main(["-"]) == 1
    assert sent(client) == LINES[:2]
    shown = capsys.readouterr()
    assert shown.err.startswith("-:2: $: JSON is malformed")
    assert shown.out == "2 events sent, 1 bad lines\n"


def test_a_line_from_another_program_is_there_before_the_next_one_comes(client: redis.Redis) -> None:
    command = [sys.executable, "-m", "orchestration.features.live.send", "-"]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert sender.stdin is not None
    for n, line in enumerate(LINES[:3], start=1):
        sender.stdin.write(line + b"\n")
        sender.stdin.flush()
        until(lambda n=n: len(sent(client)) == n, f"line {n} is in the stream")  # type: ignore[misc]
    shown, _ = sender.communicate(timeout=20)
    assert (sender.returncode, shown) == (0, b"3 events sent\n")


def test_a_file_or_a_redis_that_is_not_there_is_one_line(
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nothing")]) == 2
    assert "cannot send: [Errno 2]" in capsys.readouterr().err
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert main(["-"]) == 2
    assert "cannot send: Error 111" in capsys.readouterr().err


def test_the_help_has_an_example() -> None:
    command = [sys.executable, "-m", "orchestration.features.live.send", "--help"]
    shown = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True).stdout
    assert "python -m orchestration.features.live.send events.jsonl" in shown
    assert "exit codes" in shown
