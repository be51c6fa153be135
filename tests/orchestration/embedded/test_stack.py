"""The stack over a real supervisor with small programs: given up, stubborn, interrupted, in homes with odd names."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.embedded import stack as subject
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.embedded.programs import programs, socket_path
from orchestration.embedded.stack import Stack
from orchestration.settings import ROOT, Settings
from tests.servers import BIN, alive, free_port, wait_until

pytestmark = pytest.mark.integration
HEAD = (ROOT / "supervisord.conf").read_text().partition("[group:")[0]
STUBBORN = """
[program:stubborn]
command = "%(ENV_PYTHON)s" -c "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
stopwaitsecs = 60
stdout_logfile = %(ENV_PLATFORM_HOME)s/log/stubborn.log
"""
OBEDIENT = STUBBORN.replace("signal.SIG_IGN", "signal.SIG_DFL")
BROKEN = """
[program:broken]
command = "%(ENV_PYTHON)s" -c "raise SystemExit('the reason [/why]')"
startretries = 0
redirect_stderr = true
stdout_logfile = %(ENV_PLATFORM_HOME)s/log/broken.log
"""


def settings(home: Path) -> Settings:
    """Free ports, and a Dagster storage that counts as made, for these programs need none."""
    (home / "dagster" / "schedules").mkdir(parents=True)
    (home / "dagster" / "schedules" / "schedules.db").touch()
    return Settings(home=home, **{name: free_port() for name in Settings.port_defaults()})


def stack(home: Path, configuration: str) -> Stack:
    wanted = settings(home)
    file = home / "programs.conf"
    file.write_text(HEAD + configuration)
    return Stack(wanted, configuration=file)


def supervised(home: Path) -> list[int]:
    """Process ids of the supervisor and its one program, once that has said something."""
    wait_until(lambda: (home / "log" / "stubborn.log").exists() and (home / "log" / "stubborn.log").read_text())
    supervisor = int((home / "supervisord.pid").read_text())
    wait_until(lambda: programs(home / "supervisor.sock"))
    children = (Path("/proc") / str(supervisor) / "task" / str(supervisor) / "children").read_text().split()
    return [supervisor, *map(int, children)]


def test_a_program_that_is_given_up_ends_the_wait_at_once_with_its_log(tmp_path: Path) -> None:
    with stack(tmp_path, BROKEN) as started, pytest.raises(NotReadyToStartError) as raised:
        started.wait_until_healthy(lambda _name, _seconds: None)
    assert "broken does not start" in str(raised.value)
    assert str(tmp_path / "log" / "broken.log") in str(raised.value)
    assert str(raised.value).endswith("the reason [/why]")
    assert not started.running


def test_a_supervisor_that_ends_ends_the_wait(tmp_path: Path) -> None:
    without_command = "[program:nameless]\n"
    with (
        stack(tmp_path, without_command) as started,
        pytest.raises(NotReadyToStartError, match="the supervisor ended"),
    ):
        started.wait_until_healthy(lambda _name, _seconds: None)


def test_supervisorctl_needs_the_address_alone(tmp_path: Path) -> None:
    with stack(tmp_path, OBEDIENT):
        supervised(tmp_path)
        command = [BIN / "supervisorctl", "-s", f"unix://{tmp_path}/supervisor.sock", "status"]
        said = subprocess.run(command, cwd=ROOT, env={}, capture_output=True, text=True, check=False).stdout
    assert said.split()[:2] in (["stubborn", "RUNNING"], ["stubborn", "STARTING"])


def test_stop_leaves_nothing_of_a_program_that_outlasts_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "STOP_GRACE_S", 0.5)
    with stack(tmp_path, STUBBORN):
        pids = supervised(tmp_path)
        assert len(pids) == 2
    assert not any(map(alive, pids))


def test_stop_leaves_nothing_when_the_keeper_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "STOP_TIMEOUT_S", 0.5)
    with stack(tmp_path, STUBBORN) as started:
        pids = supervised(tmp_path)
        assert started._keeper is not None
        os.kill(started._keeper.pid, signal.SIGSTOP)
    assert not any(map(alive, [*pids, started._keeper.pid]))


def test_stop_leaves_nothing_when_the_supervisor_was_killed(tmp_path: Path) -> None:
    with stack(tmp_path, STUBBORN):
        pids = supervised(tmp_path)
        os.kill(pids[0], signal.SIGKILL)
    assert not any(map(alive, pids))


def test_stop_leaves_nothing_when_the_keeper_was_killed(tmp_path: Path) -> None:
    with stack(tmp_path, OBEDIENT) as started:
        pids = supervised(tmp_path)
        assert started._keeper is not None
        started._keeper.kill()
    assert programs(tmp_path / "supervisor.sock") == []
    wait_until(lambda: not any(map(alive, pids)), timeout_s=2)  # its interpreter ends


def test_a_home_is_refused_to_a_second_stack_while_the_first_runs(tmp_path: Path) -> None:
    with stack(tmp_path, OBEDIENT):
        pids = supervised(tmp_path)
        other = Settings(home=tmp_path, **{name: free_port() for name in Settings.port_defaults()})
        with pytest.raises(NotReadyToStartError, match="already runs on"), Stack(other):
            pytest.fail("two platforms would share one home")
        assert all(map(alive, pids))


@pytest.mark.parametrize("name", ["it's a home; #1 & more [x]", "x" * 120])
def test_homes_with_odd_names_work(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    with stack(home, BROKEN) as started, pytest.raises(NotReadyToStartError, match="broken does not start"):
        started.wait_until_healthy(lambda _name, _seconds: None)
    assert not started._socket.exists()
    assert started._socket.parent == home or not started._socket.parent.exists()


@pytest.mark.parametrize("name", ["100%", 'a "home"', "back\\slash", "what?", "two\nlines"])
def test_homes_that_the_configuration_cannot_carry_are_refused_clearly(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotReadyToStartError, match="PLATFORM_HOME must not contain"), stack(tmp_path / name, BROKEN):
        pytest.fail("supervisord would have read another path")


def test_the_socket_stays_at_home_where_a_unix_address_can_hold_it() -> None:
    assert socket_path(Path("/home/somebody/platform/.local")) == Path("/home/somebody/platform/.local/supervisor.sock")


def test_ctrl_c_ends_the_wait_where_polars_is_loaded(tmp_path: Path) -> None:
    """Polars installs a handler of its own for SIGINT, after which a blocking wait is not interrupted."""
    program = (
        "import subprocess, sys, polars; from pathlib import Path;"
        "from orchestration.embedded.stack import Stack; from orchestration.settings import Settings;"
        "stack = Stack(Settings(home=Path(sys.argv[1])));"
        "stack._keeper = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()']);"
        "polars.DataFrame({'a': [1]}).lazy().select('a').collect(); print('waiting', flush=True);\n"
        "try: stack.wait()\n"
        "finally: stack._keeper.kill()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) != 0
