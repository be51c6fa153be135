"""`make up`: a taken port is one clear error, Ctrl-C leaves no process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.embedded.alerting import spare_ports
from orchestration.settings import Settings
from tests.servers import ROOT, free_port, processes_of, taken_ports, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
UP = [sys.executable, "-m", "orchestration.embedded"]


def environment(home: Path) -> dict[str, str]:
    ports = {name.upper(): str(free_port()) for name in Settings.port_defaults()}
    return {**os.environ, **ports, "PLATFORM_HOME": str(home)}


def test_a_taken_port_is_one_error_that_names_the_port_and_the_variable(tmp_path: Path) -> None:
    wanted = environment(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(wanted["MLFLOW_PORT"])))
        taken.listen()
        done = subprocess.run(UP, cwd=ROOT, env=wanted, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"port {wanted['MLFLOW_PORT']} is taken" in done.stdout
    assert "MLFLOW_PORT" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_of(tmp_path) == []


def test_a_port_that_is_no_port_is_one_error_that_names_the_variable(tmp_path: Path) -> None:
    wanted = environment(tmp_path) | {"GATEWAY_PORT": "eighty"}
    done = subprocess.run(UP, cwd=ROOT, env=wanted, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "GATEWAY_PORT must be a port number" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        pytest.param(signal.SIGHUP, marks=pytest.mark.full),
        pytest.param(signal.SIGKILL, marks=pytest.mark.full),
    ],
)
def test_it_comes_up_prints_addresses_and_leaves_no_process(tmp_path: Path, stop: signal.Signals) -> None:
    """Ctrl-C, a closed terminal, and a kill that it cannot see. SIGTERM is handled as SIGHUP is."""
    home = tmp_path / "a home"
    wanted = environment(home)
    process = subprocess.Popen(UP, cwd=ROOT, env=wanted, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C stops it" in line:
            break
    assert f"http://127.0.0.1:{wanted['GATEWAY_PORT']}" in "".join(said)
    assert len(processes_of(home)) > 8
    assert set(taken_ports(wanted)) >= {name.upper() for name in Settings.port_defaults().keys() - spare_ports()}
    process.send_signal(stop)
    assert process.wait(60) == (-signal.SIGKILL if stop is signal.SIGKILL else 0)
    if stop is signal.SIGKILL:
        wait_until(lambda: not processes_of(home), timeout_s=40)
    assert processes_of(home) == []
    assert taken_ports(wanted) == []  # redis-server overwrites its environment, but not its port
    assert "draining" in (home / "log" / "gateway.log").read_text()
