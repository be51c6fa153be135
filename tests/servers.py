"""Real servers for tests: each starts on free ports, is waited for, and is stopped by its process id.

Their output goes to a log in the given folder; a server that does not come up fails the test with that log's end.
"""

import itertools
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.prefix) / "bin"
QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "EVIDENTLY_DISABLE_TELEMETRY": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


@dataclass(frozen=True)
class RedisServer:
    """A Redis on loopback."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@dataclass(frozen=True)
class TritonServer:
    """A Triton on loopback; `http`, `grpc`, `metrics` are host:port."""

    http: str
    grpc: str
    metrics: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True)
class MlflowServer:
    """An MLflow tracking server on loopback."""

    url: str
    process: subprocess.Popen[bytes]


def _ports_of_this_process() -> Iterator[int]:
    """Below what the kernel gives to outgoing connections, and apart from what another worker of the tests hands out."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 10_000 + 2_500 * (worker % 8)
    for step in itertools.count(os.getpid()):  # another run of the tests, beside this one, starts elsewhere
        yield first + step % 2_500


_ports = _ports_of_this_process()


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now; not handed out again soon."""
    return next(port for port in _ports if _is_free(port))


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextmanager
def redis_server(folder: Path, *arguments: str, port: int | None = None) -> Iterator[RedisServer]:
    """Redis with its files in `folder`; `arguments` are further redis-server options."""
    port = port or free_port()
    command = [BIN / "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "", *arguments]
    with running("redis", command, folder, lambda: _redis_answers(port), timeout_s=10) as process:
        yield RedisServer(port, process)


@contextmanager
def redis_cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """A Redis Cluster of three nodes, each with a third of the 16,384 slots."""
    with ExitStack() as stack:
        nodes, clients = [], []
        for n in range(3):  # the bus of a node listens 10,000 above its port
            (folder / str(n)).mkdir()
            nodes.append(stack.enter_context(redis_server(folder / str(n), "--cluster-enabled", "yes")))
            clients.append(stack.enter_context(redis.Redis(port=nodes[n].port)))
            clients[n].execute_command("CLUSTER", "ADDSLOTS", *range(-(-n * 16384 // 3), -(-(n + 1) * 16384 // 3)))
            clients[n].execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
        whole = {b"cluster_state:ok", b"cluster_known_nodes:3"}
        until(
            lambda: all(whole <= set(c.execute_command("CLUSTER", "INFO").split(b"\r\n")) for c in clients),
            "the cluster is whole",
        )
        yield nodes


def until(holds: Callable[[], bool], what: str, *, timeout_s: float = 30) -> None:
    """Wait until `holds()`; fails with `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"not yet: {what}"
        time.sleep(0.05)


@contextmanager
def triton_server(
    home: Path, *, until: str = "ready", ports: tuple[int, int, int] | None = None
) -> Iterator[TritonServer]:
    """Triton as the platform launches it, with `home` as PLATFORM_HOME and its manifest's models loaded.

    `until` is what to wait for: "ready", or "live" where a published model is meant to fail. `ports`: http, grpc, metrics.
    """
    http, grpc, metrics = ports or (free_port(), free_port(), free_port())
    command = [sys.executable, "-m", "triton_models.launch", "--home", home]
    command += ["--http-port", http, "--grpc-port", grpc, "--metrics-port", metrics]
    health = f"http://127.0.0.1:{http}/v2/health/{until}"
    with running("triton", command, home, lambda: answers_200(health), timeout_s=60) as process:
        yield TritonServer(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", f"127.0.0.1:{metrics}", process)


@contextmanager
def mlflow_server(home: Path) -> Iterator[MlflowServer]:
    """MLflow on SQLite under `home`/mlflow, artifacts served by the server itself."""
    folder = home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", 1]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        folder / "artifacts",
    ]
    with running("mlflow", command, home, lambda: answers_200(f"{url}/health"), timeout_s=90) as process:
        yield MlflowServer(url, process)


@contextmanager
def running(
    name: str, command: list[object], folder: Path, ready: Callable[[], bool], *, timeout_s: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` from the repository root until the block ends; the block starts when `ready()` holds."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=output, cwd=ROOT, env=os.environ | QUIET
        )
    try:
        deadline = time.monotonic() + timeout_s
        while not (process.poll() is None and ready()):
            if process.poll() is not None or time.monotonic() > deadline:
                state = "still starting" if process.poll() is None else f"exited with {process.returncode}"
                raise RuntimeError(f"{name} is {state}:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        yield process
    finally:
        _stop(process)


def processes_of(home: Path) -> list[str]:
    """Command lines of live processes whose environment names this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"PLATFORM_HOME={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def taken_ports(environment: Mapping[str, str]) -> list[str]:
    """Names of this environment's `*_PORT` variables whose port of loopback cannot be listened on now."""
    taken = []
    for name in (name for name in environment if name.endswith("_PORT")):
        with closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(environment[name])))
            except OSError:
                taken.append(name)
    return taken


def wait_until(holds: Callable[[], object], *, timeout_s: float = 15.0) -> None:
    """Wait for a condition; fails the test when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=15)


def answers_200(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _redis_answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False
