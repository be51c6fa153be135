"""While a gateway is asked steadily, versions are published, served and retired: no request fails, none stalls."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from orchestration.publishing.publish import publish, unpublish
from orchestration.publishing.repository import Repository
from orchestration.publishing.retirement import retire
from orchestration.rollout.act import serve_baseline
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract, RequestField
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from tests.orchestration.publishing.test_publish import golden_of, loaded
from tests.servers import ROOT, TritonServer
from tests.serving_gateway.support import gateway_process, wait_for
from tests.synthetic import synthetic_model
from triton_models import model_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
CONNECTIONS = 8
PAUSE_MS = 20
STALL_MS = 500.0  # half of the gateway's deadline
LOAD_S = 1.5  # of each version: a load over HTTP would hold its connections for as long
QUIET_S = 3.0


@dataclass
class Load:
    """What the client saw: (start on the monotonic clock in s, ms, HTTP status) of every request."""

    answers: list[tuple[float, float, int]] = field(default_factory=list)

    def worst_ms(self, start: float, end: float) -> float:
        return max(ms for began, ms, _ in self.answers if start <= began < end)


@contextmanager
def steady_load(port: int, body: str) -> Iterator[Load]:
    """Requests over several keep-alive connections from the block's start to its end; then `answers` are there."""
    command = [sys.executable, "-m", "tests.e2e.steady_load", str(port), str(CONNECTIONS), str(PAUSE_MS)]
    load = Load()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(f"{body}\n")
        client.stdin.flush()
        assert client.stdout.readline() == "asking\n"
        yield load
        load.answers = json.loads(client.communicate()[0])


def contract_of(version: int) -> ModelContract:
    """Every input is sent by the caller, so that answers need no features."""
    contract = synthetic_model().contract
    inputs = tuple(msgspec.structs.replace(i, source=RequestField(i.name)) for i in contract.inputs)
    return msgspec.structs.replace(contract, inputs=inputs, version=str(version))


def serve(store: RolloutStore, version: int) -> None:
    contract = contract_of(version)
    arm = Arm(
        model=contract.model,
        version=contract.version,
        triton_model=triton_name(contract),
        contract_digest=store.put_contract(contract),
    )
    state = serve_baseline(store, arm, actor="test", now=datetime.now(UTC))
    store.wait_until_served(state, timeout_s=10)


def flight() -> str:
    values = {i.name: i.vocabulary[0] if i.dtype == "category" else 1.0 for i in contract_of(1).inputs}
    return json.dumps(values)


@pytest.fixture
def slow_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large model takes its time to load: ours is small, so its backend waits."""
    text = model_config.BACKEND.read_text()
    opening = "        path = Path(args"
    assert text.count(opening) == 1
    slow = tmp_path / "model.py"
    slow.write_text(text.replace(opening, f"        import time; time.sleep({LOAD_S})\n{opening}"))
    monkeypatch.setattr(model_config, "BACKEND", slow)


@pytest.fixture
def repository(triton: TritonServer, triton_home: Path) -> Iterator[Repository]:
    found = Repository.of(Settings(home=triton_home))
    yield found
    for name in found.names():
        unpublish(name, repository=found, grpc=triton.grpc)


def test_publishing_serving_and_retiring_cost_no_request_and_no_stall(
    triton: TritonServer, repository: Repository, redis_url: str, slow_to_load: None, tmp_path: Path
) -> None:
    store, model = RolloutStore.connect(redis_url), synthetic_model()
    golden = golden_of(model)
    publish(contract_of(1), model.onnx, golden, repository=repository, grpc=triton.grpc)
    serve(store, 1)
    with gateway_process(tmp_path, redis_url, triton.http, EVENT_CLOCK="wall") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        with steady_load(gateway.port, flight()) as load:
            began = time.monotonic()
            wait_for(lambda: time.monotonic() - began > QUIET_S, timeout_s=30)
            busy = time.monotonic()
            gone, published_s = [], []
            for version in range(2, 6):
                start = time.monotonic()
                publish(contract_of(version), model.onnx, golden, repository=repository, grpc=triton.grpc)
                published_s.append(time.monotonic() - start)
                serve(store, version)
                gone += retire(repository, store, set, grpc=triton.grpc, keep=0, drain_s=1.5).names
            ended = time.monotonic()
    names = [triton_name(contract_of(version)) for version in range(1, 6)]
    assert gone == names[:3]
    assert loaded(triton.http) == names[3:]  # what answers, and the one to go back to
    print(
        f"{len(load.answers)} requests; worst {load.worst_ms(began, busy):.0f} ms in {busy - began:.1f} s of quiet, "
        f"{load.worst_ms(busy, ended):.0f} ms in {ended - busy:.1f} s of publishing"
    )
    assert min(published_s) > LOAD_S  # else nothing was slow, and nothing is shown
    # a connection that waits for nothing asks every PAUSE_MS: half of that is asked of all while versions are published
    busiest = sum(busy <= began < ended for began, _, _ in load.answers)
    assert busiest > 0.5 * CONNECTIONS * (ended - busy) / (PAUSE_MS / 1e3)
    assert [answer for answer in load.answers if answer[2] != 200] == []
    assert [answer for answer in load.answers if answer[1] > STALL_MS] == []
