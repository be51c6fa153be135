"""The demo's edges: what is one line, what keeps its traceback, and what the summary says afterwards."""

import io
import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestration.demo import __main__ as demo
from orchestration.demo.__main__ import EXPECTED, STEPS, led_by_the_story, new_summary, tell
from orchestration.demo.narrator import Live, Narrator, StepFailedError
from orchestration.demo.story import Story
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.rollout.policy import read_policy, shipped_policy
from orchestration.settings import Settings
from tests.servers import ROOT, free_port, processes_of, wait_until

DEMO = [sys.executable, "-m", "orchestration.demo"]


def started(_live: Live) -> Story:
    return object.__new__(Story)  # these steps ask nothing of it


def done(_story: Story, _live: Live) -> None:
    return


def raising(error: BaseException) -> Any:
    def step(*_: object) -> Any:
        raise error

    return step


def outcome(narrator: Narrator, home: Path) -> list[tuple[str, bool]]:
    narrator.write_summary(home / "summary.json")
    return [(s["name"], s["ok"]) for s in json.loads((home / "summary.json").read_text())["steps"]]


@pytest.fixture
def narrator() -> Narrator:
    return Narrator(Console(file=io.StringIO(), width=300))


def test_every_step_done_is_exit_code_0(narrator: Narrator, tmp_path: Path) -> None:
    assert tell(Settings(tmp_path), narrator, started, [("one", "One", done), ("two", "Two", done)]) == 0
    assert narrator.told
    assert outcome(narrator, tmp_path) == [("start", True), ("one", True), ("two", True)]


@pytest.mark.parametrize("code", [0, 1])
def test_without_a_terminal_it_ends_when_its_story_does(
    narrator: Narrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """At one it stays up: tests/e2e/demo."""
    monkeypatch.setattr(demo, "tell", lambda *_: code)
    monkeypatch.setattr("orchestration.embedded.stack.Stack.wait", raising(AssertionError("it stays up")))
    assert demo.run(Settings(tmp_path), narrator, tmp_path / "summary.json") == code
    assert (tmp_path / "summary.json").exists()
    assert "The platform stays up" not in narrator.console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [*(kind("see [/this]") for kind in EXPECTED), TimeoutError()])
def test_an_expected_error_is_one_line_and_ends_the_story(narrator: Narrator, tmp_path: Path, error: Exception) -> None:
    steps = [("one", "One", raising(error)), ("two", "Two", done)]
    assert tell(Settings(tmp_path), narrator, started, steps) == 1
    assert not narrator.told
    assert outcome(narrator, tmp_path) == [("start", True), ("one", False)]
    said = narrator.console.file.getvalue()  # type: ignore[attr-defined]
    assert f"The demo stopped: {str(error) or 'TimeoutError'}" in said


def test_expected_are_the_errors_that_a_person_can_act_on() -> None:
    assert {StepFailedError, NotReadyToStartError, MissingPartitionError, TimeoutError} <= set(EXPECTED)


def test_a_start_that_fails_is_the_failed_step(narrator: Narrator, tmp_path: Path) -> None:
    failing = raising(NotReadyToStartError("port 1 is taken"))
    assert tell(Settings(tmp_path), narrator, failing, STEPS) == 1
    assert outcome(narrator, tmp_path) == [("start", False)]


@pytest.mark.parametrize("error", [KeyError("holdout AUC"), KeyboardInterrupt()])
def test_the_unexpected_goes_on_with_the_failed_step_kept(
    narrator: Narrator, tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        tell(Settings(tmp_path), narrator, started, [("one", "One", raising(error))])
    assert outcome(narrator, tmp_path) == [("start", True), ("one", False)]


def test_an_earlier_summary_is_removed_and_an_unusable_home_is_one_error(tmp_path: Path) -> None:
    path = new_summary(Settings(tmp_path))
    path.write_text("all ok")
    assert new_summary(Settings(tmp_path)) == path
    assert not path.exists()
    path.write_text("a file")
    with pytest.raises(NotReadyToStartError, match="PLATFORM_HOME cannot be used"):
        new_summary(Settings(path))


def environment(home: Path) -> dict[str, str]:
    ports = {name.upper(): str(free_port()) for name in Settings.port_defaults()}
    return {**os.environ, **ports, "PLATFORM_HOME": str(home)}


def run(wanted: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        DEMO, cwd=ROOT, env=wanted, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.integration
def test_a_port_that_is_no_port_is_one_line(tmp_path: Path) -> None:
    ended = run(environment(tmp_path) | {"GATEWAY_PORT": "eighty"})
    assert ended.returncode == 1
    assert "cannot start: GATEWAY_PORT must be a port number" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.integration
def test_a_taken_port_leaves_a_summary_of_this_run(tmp_path: Path) -> None:
    wanted = environment(tmp_path)
    new_summary(Settings(tmp_path)).write_text('{"steps": [{"name": "start", "ok": true}]}')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(wanted["MLFLOW_PORT"])))
        taken.listen()
        ended = run(wanted)
    assert ended.returncode == 1
    assert f"port {wanted['MLFLOW_PORT']} is taken" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
    steps = json.loads((tmp_path / "demo" / "summary.json").read_text())["steps"]
    assert [(s["name"], s["ok"]) for s in steps] == [("start", False)]


def last_program_runs(home: Path) -> bool:
    """What supervisord has forked and not executed yet would miss a SIGTERM, and be killed 10 s later."""
    log = home / "log" / "reports.log"
    return log.exists() and "Serving HTTP" in log.read_text()


def interrupted(home: Path) -> None:
    """The summary names the step that was going on, and nothing runs any more."""
    steps = json.loads((home / "demo" / "summary.json").read_text())["steps"]
    assert [(s["name"], s["ok"]) for s in steps] == [("start", False)]
    assert processes_of(home) == []


@pytest.mark.integration
def test_an_interrupted_demo_leaves_a_summary_and_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(DEMO, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    wait_until(lambda: last_program_runs(tmp_path), timeout_s=60)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Stopped; nothing is left running." in said
    interrupted(tmp_path)


@pytest.mark.integration
@pytest.mark.full
def test_a_closed_terminal_stops_the_demo_in_order(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    # A session of its own whose controlling terminal is `its`, as a terminal window gives its shell.
    program = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *DEMO],
        cwd=ROOT,
        env=environment(tmp_path),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    wait_until(lambda: last_program_runs(tmp_path), timeout_s=60)
    os.close(ours)  # the kernel sends SIGHUP, and every write to the terminal fails from now on
    assert process.wait(60) == 1
    interrupted(tmp_path)


def test_no_trial_begins_by_itself_while_the_story_leads_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROLLOUT_POLICY_PATH", raising=False)
    (tmp_path / "demo").mkdir()
    found, shipped = read_policy(led_by_the_story(Settings(home=tmp_path))), shipped_policy()
    assert (shipped.rollout.automatic, found.rollout.automatic) == (True, False)
    assert (found.evidence, found.rollout.steps) == (shipped.evidence, shipped.rollout.steps)
    monkeypatch.setenv("ROLLOUT_POLICY_PATH", str(tmp_path / "none.toml"))
    with pytest.raises(NotReadyToStartError, match="ROLLOUT_POLICY_PATH"):
        led_by_the_story(Settings(home=tmp_path))
