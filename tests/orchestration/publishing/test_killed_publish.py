"""A publish that is killed between two of its steps: the next publish and a restart of the server both heal."""

import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import msgspec
import numpy as np
import pytest

from orchestration.publishing.publish import publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from serving_gateway.contracts import ModelContract
from tests.orchestration.publishing.test_publish import NAME, golden_of, infer, loaded, server_ready
from tests.servers import ROOT, TritonServer, triton_server, wait_until
from tests.synthetic import synthetic_model

pytestmark = pytest.mark.integration
SECOND = "flight_delay_v2"
# What the publish has reached when it is killed -> the call that it does not come back from, or does not reach.
STEPS = {
    "staged": ("pathlib.Path.rename", "before"),
    "in place": ("orchestration.publishing.repository.Repository.install", "after"),
    "loaded": ("orchestration.publishing.triton.Triton.load", "after"),
    "checked": ("orchestration.publishing.repository.Repository.set_published", "before"),
    "listed": ("orchestration.publishing.repository.Repository.set_published", "after"),
}
KILLED = """
import sys
from pathlib import Path
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from tests.orchestration.publishing.test_killed_publish import STEPS, dying, kill_us, publish_second

_, home, grpc, step = sys.argv
with dying(*STEPS[step], die=kill_us):
    publish_second(Repository.of(Settings(home=Path(home))), grpc)
"""


class DiedError(BaseException):
    """Stands for a kill: no handler of ours takes it. Locks and connections end with it, as the kernel ends them."""


def die() -> None:
    raise DiedError


def kill_us() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def dying(call: str, when: str, die: Callable[[], None] = die) -> Iterator[None]:
    """Within the block, `call` dies before or after its work."""
    real = pkgutil.resolve_name(call)

    def dies(*arguments: object, **named: object) -> None:
        if when == "after":
            real(*arguments, **named)
        die()

    with mock.patch(call, dies):
        yield


def killed(home: Path, grpc: str, step: str) -> None:
    """Publish the second version in a process that is killed by SIGKILL."""
    command = [sys.executable, "-c", KILLED, str(home), grpc, step]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr


def second_of(contract: ModelContract) -> ModelContract:
    return msgspec.structs.replace(contract, version="2")


def publish_second(repository: Repository, grpc: str) -> None:
    model = synthetic_model()
    publish(second_of(model.contract), model.onnx, golden_of(model), repository=repository, grpc=grpc)


def answers(http: str, name: str) -> bool:
    golden = golden_of(synthetic_model())
    return bool(np.abs(infer(http, name, golden.vectors)[:, 0] - golden.scores).max() < 1e-5)


@pytest.mark.parametrize("step", STEPS)
def test_a_second_publish_heals_whatever_step_the_first_was_killed_at(
    triton: TritonServer, triton_home: Path, step: str
) -> None:
    repository = Repository.of(Settings(home=triton_home))
    with pytest.raises(DiedError), dying(*STEPS[step]):
        publish_second(repository, triton.grpc)

    publish_second(repository, triton.grpc)

    assert answers(triton.http, SECOND)
    assert loaded(triton.http) == repository.published() == repository.names() == [SECOND]
    assert list(repository.staging.iterdir()) == []
    unpublish(SECOND, repository=repository, grpc=triton.grpc)
    assert repository.names() == loaded(triton.http) == []


def test_another_artifact_left_by_a_killed_publish_gives_way(triton: TritonServer, triton_home: Path) -> None:
    """It was never published, so no caller has seen its answers."""
    repository, other = Repository.of(Settings(home=triton_home)), synthetic_model(seed=8)
    with repository.locked():
        repository.install(SECOND, second_of(other.contract), other.onnx)

    publish_second(repository, triton.grpc)

    assert answers(triton.http, SECOND)
    unpublish(SECOND, repository=repository, grpc=triton.grpc)


@pytest.mark.parametrize("call", ["repository.Repository.set_published", "triton.Triton.unload"])
def test_a_second_unpublish_finishes_what_a_killed_one_began(
    triton: TritonServer, triton_home: Path, call: str
) -> None:
    repository = Repository.of(Settings(home=triton_home))
    publish_second(repository, triton.grpc)
    with pytest.raises(DiedError), dying(f"orchestration.publishing.{call}", "after"):
        unpublish(SECOND, repository=repository, grpc=triton.grpc)
    assert repository.published() == []

    unpublish(SECOND, repository=repository, grpc=triton.grpc)

    assert repository.names() == loaded(triton.http) == []


def test_a_server_killed_with_a_publish_under_way_comes_back_with_what_was_published(tmp_path: Path) -> None:
    repository, model = Repository.of(Settings(home=tmp_path)), synthetic_model()
    with triton_server(tmp_path) as server:
        publish(model.contract, model.onnx, golden_of(model), repository=repository, grpc=server.grpc)
        killed(tmp_path, server.grpc, "loaded")
        assert loaded(server.http) == [NAME, SECOND]
        os.kill(server.process.pid, signal.SIGKILL)
        wait_until(lambda: server.process.poll() is not None)

    with triton_server(tmp_path) as server:
        assert server_ready(server.http)
        assert loaded(server.http) == [NAME]
        assert answers(server.http, NAME)
        publish_second(repository, server.grpc)
        assert loaded(server.http) == [NAME, SECOND]
