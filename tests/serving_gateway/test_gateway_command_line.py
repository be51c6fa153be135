"""Starting the gateway: help, one clear line for what is wrong, a light process."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from serving_gateway.settings import Settings
from tests.servers import ROOT, free_port

HEAVY = (
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "dagster",
    "feast",
    "mlflow",
    "tritonclient",
    "onnxruntime",
    "orchestration",
)


def run(*arguments: str, **environ: object) -> "subprocess.CompletedProcess[str]":
    command = ["env", *(f"{k}={v}" for k, v in environ.items()), sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


def test_help_documents_every_setting() -> None:
    text = run("-m", "serving_gateway", "--help").stdout
    assert all(variable in text for variable, _, _ in Settings.table())


def test_a_bad_value_is_one_line_that_names_the_variable() -> None:
    done = run("-m", "serving_gateway", GATEWAY_PORT="eighty")
    assert done.returncode == 2
    assert done.stderr == "serving_gateway: GATEWAY_PORT must be a whole number from 1 to 65535, got 'eighty'\n"


@pytest.mark.integration
def test_a_taken_port_is_one_line_that_names_port_and_variable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        redis_url = f"redis://127.0.0.1:{free_port()}/0"
        done = run("-m", "serving_gateway", GATEWAY_PORT=port, PLATFORM_HOME=tmp_path, REDIS_URL=redis_url)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is taken" in done.stderr
    assert "GATEWAY_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_running_gateway_has_nothing_heavy_in_memory() -> None:
    code = f"import sys, serving_gateway.gateway; print(*sorted(set(sys.modules) & set({HEAVY})))"
    done = run("-c", code)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_the_parent_of_the_workers_is_smaller_still() -> None:
    """It starts before them, and only watches."""
    code = "import sys, serving_gateway.__main__; print(*sorted(set(sys.modules) & {'redis', 'uvloop', 'asyncio'}))"
    done = run("-c", code)
    assert (done.stdout, done.stderr) == ("\n", "")
