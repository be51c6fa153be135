"""Three gateways and a Redis that loses its memory: what was served comes back, and what is asked right after is obeyed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import redis

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back, set_weight, start_canary
from serving_gateway.rollout.tripwire import Trip
from tests.servers import ROOT, redis_server
from tests.serving_gateway.support import (
    CONTRACT,
    NOW,
    TWO,
    GatewayProcess,
    arm_of,
    gateway_process,
    publish_state,
    state_of,
    version,
    wait_for,
)

pytestmark = pytest.mark.integration
BY = {"actor": "cli:me", "reason": "r", "now": NOW}
NAMES = ("g1", "g2", "g3")


class Fleet:
    """Three gateways on machines of their own, which follow one store."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self.url = url
        self.redis = stack.enter_context(redis.Redis.from_url(url))
        self.store = RolloutStore(self.redis)
        self._folder = folder
        self._stack = stack
        self.gateways: list[GatewayProcess] = []

    def start(self) -> None:
        self.gateways = [
            self._stack.enter_context(gateway_process(self._folder / name, self.url, GATEWAY_ID=name)) for name in NAMES
        ]

    def serves(self, holds: Callable[[dict[str, object]], bool]) -> float:
        """Seconds until every gateway's health holds."""
        began = time.monotonic()
        for gateway in self.gateways:
            wait_for(lambda gateway=gateway: holds(gateway.health()), timeout_s=10)  # type: ignore[misc]
        return time.monotonic() - began

    def serves_state(self, state: RolloutState) -> float:
        return self.serves(lambda health: (health["epoch"], health["generation"]) == state.position)

    def saved(self) -> dict[bytes, bytes]:
        return {key: self.redis.dump(key) for key in self.redis.scan_iter("*")}  # type: ignore[misc]

    def restored_from(self, saved: dict[bytes, bytes]) -> None:
        """As a Redis that was started on an old file."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.flushall()
        for key, value in saved.items():
            pipe.restore(key, 0, value)  # type: ignore[arg-type]
        pipe.execute()


@pytest.fixture
def fleet(redis_url: str, tmp_path: Path) -> Iterator[Fleet]:
    """All three serve a canary at 50 %, generation 2."""
    with ExitStack() as stack:
        found = Fleet(redis_url, tmp_path, stack)
        publish_state(redis_url, state_of(CONTRACT), CONTRACT, TWO, version(3))
        found.start()
        tried = {"weight_bp": 5000, "shadow_fraction": 0.0, **BY}
        found.serves_state(found.store.change(lambda s: start_canary(s, arm_of(TWO), **tried)))  # type: ignore[arg-type]
        yield found


def rollback(url: str) -> "subprocess.CompletedProcess[str]":
    command = ["env", f"REDIS_URL={url}", sys.executable, "-m", "serving_gateway.rollback", "--confirm"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_an_emptied_store_is_restored_forward_and_obeys(fleet: Fleet) -> None:
    before = fleet.store.history()
    fleet.redis.flushall()
    took = fleet.serves(lambda health: health["epoch"] == 2)
    assert took < 5
    state = fleet.store.read()
    assert state is not None
    assert (state.position, state.canary_weight_bp, state.arms.canary) == ((2, 1), 5000, arm_of(TWO))
    assert state.actor in {f"gateway:{name}" for name in NAMES}
    assert state.reason.startswith("restored forward: the store held nothing, 1:2 was served")
    assert fleet.store.history() == [state, *before]
    assert [fleet.store.contract(c.digest) for c in (CONTRACT, TWO)] == [CONTRACT, TWO]
    done = rollback(fleet.url)
    assert done.returncode == 0, done.stderr
    assert all(f"{name} (generation 2)" in done.stdout for name in NAMES)
    assert {gateway.health()["canary_weight_bp"] for gateway in fleet.gateways} == {0}


def test_a_rollback_in_the_very_moment_of_the_loss_is_obeyed_by_all(fleet: Fleet) -> None:
    fleet.redis.flushall()
    fleet.store.read_restored(within_s=5)
    state = fleet.store.change(lambda s: rolled_back(s, **BY))
    assert fleet.serves_state(state) < 5
    assert {gateway.health()["canary_weight_bp"] for gateway in fleet.gateways} == {0}


def test_an_old_file_does_not_bring_a_canary_back(fleet: Fleet) -> None:
    old = fleet.saved()
    done = rollback(fleet.url)
    assert done.returncode == 0, done.stderr
    fleet.restored_from(old)
    assert fleet.serves(lambda health: health["epoch"] == 2) < 5
    state = fleet.store.read()
    assert state is not None
    assert (state.phase, state.canary_weight_bp, state.restores) == ("rolled_back", 0, (1, 3))


def test_a_rollback_right_after_an_old_file_is_obeyed_by_all(fleet: Fleet) -> None:
    """Written before any gateway has looked: to them its generation is long past."""
    old = fleet.saved()
    for weight_bp in (6000, 7000, 8000):
        raised = fleet.store.change(lambda s, weight_bp=weight_bp: set_weight(s, weight_bp, **BY))  # type: ignore[misc]
    fleet.serves_state(raised)
    past = msgspec.json.decode(fleet.redis.get(keys.ROLLOUT) or b"", type=RolloutState)
    assert past == raised
    asked = rolled_back(fleet.store.history()[3], actor="cli:me", reason="right after", now=NOW)
    pipe = fleet.redis.pipeline(transaction=True)
    pipe.flushall()
    for key, value in old.items():
        pipe.restore(key, 0, value)  # type: ignore[arg-type]
    pipe.set(keys.ROLLOUT, msgspec.json.encode(asked))
    pipe.xadd(keys.AUDIT, {"state": msgspec.json.encode(asked)})
    pipe.execute()
    took = fleet.serves(lambda health: health["canary_weight_bp"] == 0)
    assert took < 5
    served = fleet.store.wait_until_served(asked, timeout_s=5)
    assert [said.gateway for said in served] == list(NAMES)
    state = fleet.store.read()
    assert state is not None
    assert (state.epoch, state.phase) == (2, "rolled_back")
    assert "the rollback 1:3 by cli:me holds (right after)" in state.reason


def test_a_store_lost_while_no_gateway_was_up_is_restored_by_the_first(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=100), CONTRACT, TWO)
    for name in NAMES[:2]:  # g1 has an older memory than g2
        with gateway_process(tmp_path / name, redis_url, GATEWAY_ID=name) as gateway:
            wait_for(lambda gateway=gateway: gateway.health()["generation"] is not None)  # type: ignore[misc]
        store.change(lambda s: rolled_back(s, **BY))
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    with gateway_process(tmp_path / "g1", redis_url, GATEWAY_ID="g1") as old:
        wait_for(lambda: old.health()["epoch"] == 2)
        assert old.health()["canary_weight_bp"] == 100  # all that is known so far
        with gateway_process(tmp_path / "g2", redis_url, GATEWAY_ID="g2") as newer:
            for gateway in (old, newer):
                wait_for(lambda gateway=gateway: gateway.health()["epoch"] == 3)  # type: ignore[misc]
            state = store.read()
    assert state is not None
    assert (state.phase, state.restores) == ("rolled_back", (1, 2))


def test_nothing_known_and_nothing_stored_is_no_state_yet(redis_url: str, tmp_path: Path) -> None:
    with gateway_process(tmp_path, redis_url, GATEWAY_ID="g1") as gateway:
        wait_for(lambda: gateway.health()["redis"] == "up")
        assert gateway.health()["problem"] == "no rollout state yet: publish a model first"
        assert RolloutStore.connect(redis_url).read() is None


def test_a_trip_outlives_a_store_that_came_back_old(tmp_path: Path) -> None:
    """The tripped canary is unknown to the store that comes back: its trip is not settled by that."""
    with redis_server(tmp_path / "redis") as server:
        store = publish_state(server.url, state_of(CONTRACT, TWO, weight_bp=100), CONTRACT, TWO, version(3))
        with gateway_process(tmp_path / "g1", server.url, GATEWAY_ID="g1") as gateway:
            tried = {"weight_bp": 5000, "shadow_fraction": 0.0, **BY}
            state = store.change(lambda s: start_canary(s, arm_of(version(3)), **tried))  # type: ignore[arg-type]
            wait_for(lambda: gateway.health()["generation"] == state.generation)
        file = tmp_path / "g1/gateway/trips/g1.json"
        file.parent.mkdir(parents=True)
        file.write_bytes(msgspec.json.encode(Trip(triton_model="delay_v3", reason="10 failed in a row", time="")))
        with redis.Redis.from_url(server.url) as client:
            client.flushall()
        publish_state(server.url, state_of(CONTRACT, TWO, weight_bp=100), CONTRACT, TWO, version(3))
        with gateway_process(tmp_path / "g1", server.url, GATEWAY_ID="g1") as again:
            wait_for(lambda: not file.exists())
            assert again.health()["canary_weight_bp"] == 0
            state = store.read()  # type: ignore[assignment]
            assert (state.phase, state.arms.canary, state.actor) == ("rolled_back", arm_of(version(3)), "gateway:g1")
            assert state.reason == "10 failed in a row"
