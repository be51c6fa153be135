"""The keeper leaves nothing behind: real processes, real signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.embedded.keeper import command_line, descendants, kill_descendants
from tests.servers import ROOT, alive, wait_until

# Ignores SIGTERM, in a session of its own; then one that obeys. Each writes its process id once it is set up.
STUBBORN = """
import os, pathlib, signal, sys
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
signal.pause()
"""
OBEDIENT = """
import os, pathlib, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path(sys.argv[1] + ".drained").touch(), os._exit(0)))
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
signal.pause()
"""
# Starts the stubborn one and ends at once, so that it loses its parent.
ORPHANING = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]])"
LAUNCHER = "import subprocess, sys; subprocess.run(sys.argv[1:])"


def pid_in(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def keeping(grace_s: float, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command_line(grace_s, [sys.executable, "-c", *command]), cwd=ROOT, start_new_session=True)


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[Path]:
    """Where the stubborn process writes its id; killed after the test, should the keeper have failed."""
    file = tmp_path / "stubborn"
    yield file
    if file.exists() and alive(int(file.read_text())):
        os.kill(int(file.read_text()), signal.SIGKILL)


def test_sigterm_reaches_the_command_which_may_drain(tmp_path: Path) -> None:
    keeper = keeping(10, OBEDIENT, str(tmp_path / "obedient"))
    pid = pid_in(tmp_path / "obedient")
    keeper.terminate()
    assert keeper.wait(10) == 0
    assert (tmp_path / "obedient.drained").exists()
    assert not alive(pid)


def test_what_ignores_sigterm_is_killed_after_the_grace(stubborn: Path) -> None:
    keeper = keeping(0.2, STUBBORN, str(stubborn))
    pid = pid_in(stubborn)
    keeper.terminate()
    assert keeper.wait(10) == 1
    assert not alive(pid)


def test_an_orphan_in_a_session_of_its_own_does_not_outlive_the_command(stubborn: Path) -> None:
    keeper = keeping(10, ORPHANING, STUBBORN, str(stubborn))
    keeper.wait(10)
    assert not (stubborn.exists() and alive(int(stubborn.read_text())))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_the_launcher_ends_everything(tmp_path: Path, stubborn: Path, sent: signal.Signals) -> None:
    """A launcher killed by SIGKILL can tell nobody; the kernel tells the keeper."""
    both = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[2], sys.argv[3]]); {OBEDIENT}"
    program = (
        "import subprocess, sys; sys.path.insert(0, sys.argv[1]); from orchestration.embedded.keeper import command_line;"
        "subprocess.Popen(command_line(0.5, [sys.executable, '-c', *sys.argv[2:]]), cwd=sys.argv[1]).wait()"
    )
    obedient = tmp_path / "obedient"
    arguments = [str(ROOT), both, str(obedient), STUBBORN, str(stubborn)]
    launcher = subprocess.Popen([sys.executable, "-c", program, *arguments], start_new_session=True)
    pids = [pid_in(obedient), pid_in(stubborn)]
    keeper = descendants(launcher.pid)[0]
    launcher.send_signal(sent)
    launcher.wait(10)
    wait_until(lambda: not any(map(alive, [keeper, *pids])))
    assert (tmp_path / "obedient.drained").exists()


def test_the_command_is_asked_to_end_when_the_keeper_itself_is_killed(tmp_path: Path) -> None:
    keeper = keeping(10, OBEDIENT, str(tmp_path / "obedient"))
    pid = pid_in(tmp_path / "obedient")
    keeper.kill()
    keeper.wait(10)
    wait_until(lambda: not alive(pid))
    assert (tmp_path / "obedient.drained").exists()


def test_a_command_that_ends_by_itself_ends_the_keeper() -> None:
    assert keeping(10, "raise SystemExit(3)").wait(10) == 0


def test_a_keeper_whose_parent_is_gone_starts_nothing(tmp_path: Path) -> None:
    command = command_line(10, [sys.executable, "-c", OBEDIENT, str(tmp_path / "obedient")])
    command[3] = "1"  # as it looks when the launcher died first
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=10).returncode == 0
    assert not (tmp_path / "obedient").exists()


def test_descendants_are_found_through_generations_and_killed(stubborn: Path) -> None:
    root = subprocess.Popen([sys.executable, "-c", LAUNCHER, sys.executable, "-c", STUBBORN, str(stubborn)])
    pid = pid_in(stubborn)
    assert descendants(root.pid) == [pid]
    assert pid in descendants(os.getpid())
    assert kill_descendants(root.pid)
    assert not alive(pid)
    assert root.wait(10) == 0
    assert not kill_descendants(root.pid)


def test_a_launcher_that_ignores_sigint_hands_that_down_to_nobody(tmp_path: Path) -> None:
    """As a shell's background job does: Dagster would ignore SIGTERM then."""
    said = tmp_path / "said"
    reads = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(pathlib.Path('/proc/self/status').read_text())"
    command = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {LAUNCHER}"
    program = "import os, subprocess, sys; from orchestration.embedded.keeper import command_line; "
    program += "subprocess.run(command_line(10, [sys.executable, '-c', *sys.argv[1:]]))"
    subprocess.run(
        [sys.executable, "-c", command, sys.executable, "-c", program, reads, str(said)], cwd=ROOT, check=True
    )
    (ignored,) = [line.split()[1] for line in said.read_text().splitlines() if line.startswith("SigIgn")]
    assert not int(ignored, 16) & 1 << (signal.SIGINT - 1)
