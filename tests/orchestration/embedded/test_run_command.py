"""Commands that run with the platform up: exit codes, signals, and whose platform it is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.embedded import command as subject
from orchestration.embedded.claim import claim
from orchestration.embedded.command import run_command, run_on_platform
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.settings import Settings
from tests.servers import ROOT, alive, free_port, wait_until

RUN = [sys.executable, "-m", "orchestration.embedded", "--run"]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["bash", "-c", "exit 7"], 7),
        (["bash", "-c", "kill -9 $$"], 137),
        (["no-such-command"], 127),
        ([str(ROOT)], 126),
    ],
)
def test_the_exit_code_is_the_commands_as_a_shell_says_it(command: list[str], code: int) -> None:
    assert run_command(command, dict(os.environ)) == code


def test_a_command_that_cannot_run_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["no-such-command", "x"], {})
    assert capsys.readouterr().out == "cannot run no-such-command: No such file or directory\n"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_what_the_command_started_too(tmp_path: Path, stop: signal.Signals) -> None:
    """A shell dies of SIGTERM at once and leaves what it runs."""
    pids = tmp_path / "pids"
    script = f"echo $$ > {pids}; {sys.executable} -c 'import signal; signal.pause()' & echo $! >> {pids}; wait"
    program = (
        "import os, sys; from orchestration.embedded.command import run_command;"
        "from orchestration.embedded.terminal import end_like_interrupt; end_like_interrupt();"
        f"run_command(['bash', '-c', {script!r}], dict(os.environ))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(stop)
    assert process.wait(10) != 0
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_does_not_end_by_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "STOP_TIMEOUT_S", 0.2)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"deaf\n"
    subject._stop(process)
    assert process.returncode == -signal.SIGKILL


def test_what_is_dead_and_not_reaped_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with what a command leaves behind under a PID 1 that reaps nobody; here it is ours to reap, and we wait."""
    monkeypatch.setattr(subject, "STOP_TIMEOUT_S", 0.2)
    monkeypatch.setattr(subject, "KILL_TIMEOUT_S", 0.2)
    with subprocess.Popen(["sleep", "60"], process_group=0) as process:
        left = subprocess.Popen(["sleep", "60"], process_group=process.pid)
        began = time.monotonic()
        subject._stop(process)
        assert time.monotonic() - began > 0.4, "nothing stood: nothing is shown"
        assert process.returncode == left.wait() == -signal.SIGTERM


@contextmanager
def settings_of_a_taken_home(home: Path) -> Iterator[Settings]:
    with claim(home):
        yield Settings(home=home, **{name: free_port() for name in Settings.port_defaults()})


def test_where_a_platform_runs_the_command_uses_it_with_its_home_and_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "probes", lambda _settings: {"redis": lambda: True})
    said: list[str] = []
    told = tmp_path / "told"
    script = f'echo "$PLATFORM_HOME $DAGSTER_HOME $MLFLOW_PORT" > {told}; exit 3'
    with settings_of_a_taken_home(tmp_path) as settings:
        assert run_on_platform(settings, ["bash", "-c", script], said.append) == 3
    assert said == [f"using the platform that runs on {tmp_path}"]
    assert told.read_text().split() == [str(tmp_path), str(tmp_path / "dagster"), str(settings.mlflow_port)]


def test_a_platform_that_does_not_answer_here_is_named_and_the_command_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(subject, "probes", lambda _settings: {"redis": lambda: True, "mlflow": lambda: False})
    refused = pytest.raises(NotReadyToStartError, match=r"nothing answers for: mlflow.*Set the ports")
    with settings_of_a_taken_home(tmp_path) as settings, refused:
        run_on_platform(settings, ["touch", str(tmp_path / "ran")], lambda _: None)
    assert not (tmp_path / "ran").exists()


def test_run_without_a_command_is_one_clear_error() -> None:
    done = subprocess.run(RUN, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--run needs a command" in done.stderr
