"""Three gateways and a Redis that loses its memory: what was served comes back, and what is asked right after is obeyed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back, set_baseline, set_weight, start_canary
from serving_gateway.rollout.tripwire import Trip
from tests.servers import ROOT, redis_server
from tests.serving_gateway.support import (
    CONTRACT,
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
NAMES = ("g1", "g2", "g3")


class Fleet:
    """Three gateways on machines of their own, which follow one store."""

    def __init__(self, url: str, gateways: list[GatewayProcess]) -> None:
        self.url = url
        self.redis = redis.Redis.from_url(url)
        self.store = RolloutStore(self.redis)
        self.gateways = gateways

    def state(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state

    def change(self, transition: Callable[..., RolloutState], *arguments: object, **more: object) -> RolloutState:
        """Changed by somebody, and served by all."""
        state = self.store.change(lambda s: transition(s, *arguments, **more, **signed()))
        self.serves(lambda health: (health["epoch"], health["generation"]) == state.position)
        return state

    def serves(self, holds: Callable[[dict[str, object]], bool]) -> float:
        """Seconds until every gateway's health holds."""
        began = time.monotonic()
        for gateway in self.gateways:
            wait_for(lambda gateway=gateway: holds(gateway.health()), timeout_s=10)  # type: ignore[misc]
        return time.monotonic() - began

    def saved(self) -> dict[bytes, bytes]:
        return {key: self.redis.dump(key) for key in self.redis.scan_iter("*")}  # type: ignore[misc]

    def restored_from(self, saved: dict[bytes, bytes], then: RolloutState | None = None) -> None:
        """As a Redis that was started on an old file; `then` is written before any gateway can have looked."""
        pipe = self.redis.pipeline(transaction=True)
        pipe.flushall()
        for key, value in saved.items():
            pipe.restore(key, 0, value)  # type: ignore[arg-type]
        if then is not None:
            pipe.set(keys.ROLLOUT, msgspec.json.encode(then))
            pipe.xadd(keys.AUDIT, {"state": msgspec.json.encode(then)})
        pipe.execute()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(folder / "redis"))
        publish_state(server.url, state_of(CONTRACT), CONTRACT, TWO)
        gateways = [stack.enter_context(gateway_process(folder / name, server.url, GATEWAY_ID=name)) for name in NAMES]
        yield Fleet(server.url, gateways)


@pytest.fixture
def fleet(machines: Fleet) -> Fleet:
    """All three serve a canary at 50 %."""
    machines.change(set_baseline, arm_of(CONTRACT))
    machines.change(start_canary, arm_of(TWO), weight_bp=5000, shadow_fraction=0.0)
    return machines


def signed() -> dict[str, Any]:
    return {"actor": "cli:me", "reason": "r", "now": datetime.now(UTC)}


def rollback(url: str) -> "subprocess.CompletedProcess[str]":
    command = ["env", f"REDIS_URL={url}", sys.executable, "-m", "serving_gateway.rollback", "--confirm"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_an_emptied_store_is_restored_forward_and_obeys(fleet: Fleet) -> None:
    before, history = fleet.state(), fleet.store.history()
    fleet.redis.flushall()
    assert fleet.serves(lambda health: health["epoch"] == before.epoch + 1) < 5
    state = fleet.state()
    assert state.restores == before.position
    assert (state.generation, state.canary_weight_bp, state.arms) == (1, 5000, before.arms)
    assert state.actor in {f"gateway:{name}" for name in NAMES}
    assert state.reason.startswith("restored forward: the store held nothing")
    assert fleet.store.history() == [state, *history]
    assert [fleet.store.contract(c.digest) for c in (CONTRACT, TWO)] == [CONTRACT, TWO]
    done = rollback(fleet.url)
    assert done.returncode == 0, done.stderr
    assert all(f"{name} (generation 2)" in done.stdout for name in NAMES)
    assert {gateway.health()["canary_weight_bp"] for gateway in fleet.gateways} == {0}


def test_a_rollback_in_the_very_moment_of_the_loss_is_obeyed_by_all(fleet: Fleet) -> None:
    fleet.redis.flushall()
    fleet.store.read_restored(within_s=5)
    began = time.monotonic()
    fleet.change(rolled_back)
    assert time.monotonic() - began < 5
    assert {gateway.health()["canary_weight_bp"] for gateway in fleet.gateways} == {0}


def test_an_old_file_does_not_bring_a_canary_back(fleet: Fleet) -> None:
    old = fleet.saved()
    stopped = fleet.change(rolled_back)
    fleet.restored_from(old)
    assert fleet.serves(lambda health: health["epoch"] == stopped.epoch + 1) < 5
    state = fleet.state()
    assert (state.phase, state.canary_weight_bp, state.restores) == ("rolled_back", 0, stopped.position)


def test_a_rollback_right_after_an_old_file_is_obeyed_by_all(fleet: Fleet) -> None:
    """Written before any gateway has looked: to them its generation is long past."""
    old, before = fleet.saved(), fleet.state()
    for weight_bp in (6000, 7000, 8000):
        fleet.change(set_weight, weight_bp)
    asked = rolled_back(before, **signed() | {"reason": "right after"})
    fleet.restored_from(old, asked)
    assert fleet.serves(lambda health: health["canary_weight_bp"] == 0) < 5
    assert [said.gateway for said in fleet.store.wait_until_served(asked, timeout_s=5)] == list(NAMES)
    state = fleet.state()
    assert (state.epoch, state.phase) == (before.epoch + 1, "rolled_back")
    assert f"the rollback {asked.epoch}:{asked.generation} by cli:me holds (right after)" in state.reason


def test_a_store_lost_while_no_gateway_was_up_is_restored_by_the_first(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=100), CONTRACT, TWO)
    for name in NAMES[:2]:  # g1 has an older memory than g2
        with gateway_process(tmp_path / name, redis_url, GATEWAY_ID=name) as gateway:
            wait_for(lambda gateway=gateway: gateway.health()["generation"] is not None)  # type: ignore[misc]
        store.change(lambda s: rolled_back(s, **signed()))
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
            tried = {"weight_bp": 5000, "shadow_fraction": 0.0, **signed()}
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
