"""The ways to a scored row that are compared; each is started afresh, and stopped, for every measurement."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving_gateway.settings import Settings
from tests.bench import asking
from tests.bench.backends import Backends
from tests.bench.workload import Workload
from tests.servers import ROOT, answers_200, free_port, running

BENCH_BIN = ROOT / ".venv-bench" / "bin"
GROUP_COMMIT = "GATEWAY_GROUP_COMMIT"
Kind = Literal["direct", "proxy", "gateway"]


@dataclass(frozen=True)
class Running:
    """A target that answers on `port`; `pid` is the root of its processes, None where nothing stands before Triton."""

    port: int
    pid: int | None


@dataclass(frozen=True)
class Target:
    """`made` prepares its requests, `read` takes the score out of an answer, `expected` is what it must be: float32 [n].

    `start` gets the backends and an empty folder. `missing()` says what it lacks to run, None if nothing. `kind`: whether
    the canary's and the shadow's rows are to be counted at all, and whether the target counts its answers and logs them.
    """

    kind: Kind
    made: Callable[[Workload], list[bytes]]
    read: Callable[[bytes], float]
    expected: Callable[[Workload], NDArray[np.float32]]
    start: Callable[[Backends, Path, Workload], AbstractContextManager[Running]]
    missing: Callable[[], str | None] = lambda: None


@contextmanager
def _direct(backends: Backends, _folder: Path, _workload: Workload) -> Iterator[Running]:
    yield Running(backends.triton_port, None)


@contextmanager
def _nginx(backends: Backends, folder: Path, _workload: Workload) -> Iterator[Running]:
    port = free_port()
    names = {"baseline": backends.baseline, "canary": backends.canary, "shadow": backends.shadow}
    user = "user root;" if os.geteuid() == 0 else ""
    text = Template(Path(__file__).with_name("nginx.conf").read_text())
    configuration = folder / "nginx.conf"
    configuration.write_text(text.substitute(port=port, triton=backends.triton_port, user=user, **names))
    command = [nginx_program(), "-p", folder, "-c", configuration, "-e", "stderr"]
    with running("nginx", command, folder, _healthy(port), timeout_s=10) as process:
        yield Running(port, process.pid)


@contextmanager
def _fastapi(backends: Backends, folder: Path, workload: Workload) -> Iterator[Running]:
    contract, port = folder / "contract.json", free_port()
    contract.write_bytes(workload.contract.to_json())
    environment = {"TRITON": backends.triton.http, "CONTRACT": contract, "BASELINE": backends.baseline}
    environment |= {"CANARY": backends.canary, "SHADOW": backends.shadow}
    command = [BENCH_BIN / "uvicorn", "tests.bench.fastapi_app:app", "--port", port, "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-access-log", "--log-level", "warning"]
    with running("fastapi", _with(environment, command), folder, _healthy(port), timeout_s=30) as process:
        yield Running(port, process.pid)


def _gateway(**settings: str) -> Callable[[Backends, Path, Workload], AbstractContextManager[Running]]:
    @contextmanager
    def start(backends: Backends, folder: Path, _workload: Workload) -> Iterator[Running]:
        port = free_port()
        environment = {"GATEWAY_PORT": port, "GATEWAY_ID": "bench", "PLATFORM_HOME": folder, "EVENT_CLOCK": "replay"}
        environment |= {"REDIS_URL": backends.redis.url, "TRITON_HTTP": backends.triton.http, **settings}
        command = _with(environment, [sys.executable, "-m", "serving_gateway"])
        ready = f"http://127.0.0.1:{port}/ready"
        with running("gateway", command, folder, lambda: answers_200(ready), timeout_s=30) as process:
            yield Running(port, process.pid)

    return start


def _no_nginx() -> str | None:
    return None if nginx_program() else "no nginx: as root, apt-get install nginx"


def _no_fastapi() -> str | None:
    return None if (BENCH_BIN / "uvicorn").exists() else "no .venv-bench, which `make bench-gateway` sets up"


def _no_group_commit_setting() -> str | None:
    known = {variable for variable, _, _ in Settings.table()}
    return None if GROUP_COMMIT in known else f"the gateway has no setting {GROUP_COMMIT} yet"


def nginx_program() -> str | None:
    """Path of nginx; /usr/sbin is not on everybody's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _with(environment: Mapping[str, object], command: list[object]) -> list[object]:
    return ["env", *(f"{name}={value}" for name, value in environment.items()), *command]


def _healthy(port: int) -> Callable[[], bool]:
    return lambda: answers_200(f"http://127.0.0.1:{port}/health")


def _proxied(path: str) -> Callable[[Workload], list[bytes]]:
    return lambda workload: asking.tensors(workload, path)


def _infer(workload: Workload) -> list[bytes]:
    from orchestration.training.contract import triton_name

    return asking.tensors(workload, f"/v2/models/{triton_name(workload.contract)}/infer")


def _features(workload: Workload) -> list[bytes]:
    return asking.given_features(workload, "/predict")


def _entities(workload: Workload) -> list[bytes]:
    return asking.by_entities(workload, "/predict")


def _scores(workload: Workload) -> NDArray[np.float32]:
    return workload.scores


def _stored_scores(workload: Workload) -> NDArray[np.float32]:
    return workload.stored_scores


_tensor, _document = asking.score_of_tensor, asking.score_of_document
TARGETS: Mapping[str, Target] = {
    "direct": Target("direct", _infer, _tensor, _scores, _direct),
    "nginx": Target("direct", _proxied("/plain"), _tensor, _scores, _nginx, _no_nginx),
    "nginx_mirror": Target("proxy", _proxied("/split"), _tensor, _scores, _nginx, _no_nginx),
    "fastapi": Target("proxy", _features, _document, _scores, _fastapi, _no_fastapi),
    "gateway": Target("gateway", _features, _document, _scores, _gateway()),
    "gateway_single": Target(
        "gateway", _features, _document, _scores, _gateway(**{GROUP_COMMIT: "off"}), _no_group_commit_setting
    ),
    "gateway_entities": Target("gateway", _entities, _document, _stored_scores, _gateway()),
}
