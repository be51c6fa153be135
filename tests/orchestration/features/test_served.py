"""Which models are served, on a real Redis."""

from datetime import UTC, datetime

import msgspec
import pytest
import redis

from orchestration.features.served import ServedUnknownError, served_models
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, start_canary
from tests.servers import free_port
from tests.serving_gateway.support import CONTRACT

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": datetime(2013, 5, 1, tzinfo=UTC)}


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return RolloutStore.connect(redis_url)


def contract(version: int) -> ModelContract:
    return msgspec.structs.replace(CONTRACT, version=str(version))


def arm(store: RolloutStore, version: int) -> Arm:
    digest = store.put_contract(contract(version))
    return Arm(model="delay", version=str(version), triton_model=f"delay_v{version}", contract_digest=digest)


def names(store: RolloutStore) -> list[tuple[str, tuple[str, ...]]]:
    return [(served.name, served.arms) for served in served_models(store)]


def test_where_nothing_was_ever_served_there_is_no_model(store: RolloutStore) -> None:
    assert served_models(store) == []


def test_every_arm_counts_and_a_model_that_is_two_arms_once(store: RolloutStore) -> None:
    store.write(first_state(arm(store, 1), **BY), None)
    assert [served.contract for served in served_models(store)] == [contract(1)]
    canary = arm(store, 2)
    store.change(lambda s: start_canary(s, canary, weight_bp=1000, shadow_fraction=0.0, **BY))
    assert names(store) == [("delay:1", ("baseline",)), ("delay:2", ("canary",))]
    store.change(lambda s: start_canary(s, canary, weight_bp=0, shadow_fraction=1.0, **BY))
    assert names(store) == [("delay:1", ("baseline",)), ("delay:2", ("canary", "shadow"))]


def test_a_canary_that_was_rolled_back_is_not_served(store: RolloutStore) -> None:
    store.write(first_state(arm(store, 1), **BY), None)
    canary = arm(store, 2)
    store.change(lambda s: start_canary(s, canary, weight_bp=1000, shadow_fraction=1.0, **BY))
    state = store.change(lambda s: rolled_back(s, **BY))
    assert state.arms.canary == canary
    assert names(store) == [("delay:1", ("baseline",))]


def test_a_store_that_is_away_is_not_a_store_without_models() -> None:
    with pytest.raises(ServedUnknownError, match=r"REDIS_URL.*cannot be reached.*Start Redis"):
        served_models(RolloutStore.connect(f"redis://127.0.0.1:{free_port()}/0"))


@pytest.mark.parametrize("left", [None, b"{", b'{"model": 7}', b"\xff"])
def test_a_contract_that_is_lost_or_broken_is_named(store: RolloutStore, redis_url: str, left: bytes | None) -> None:
    baseline = arm(store, 1)
    store.write(first_state(baseline, **BY), None)
    with redis.Redis.from_url(redis_url) as client:
        client.delete(keys.contract(baseline.contract_digest))
        if left is not None:
            client.set(keys.contract(baseline.contract_digest), left)
    with pytest.raises(ServedUnknownError, match=rf"delay:1 reads.*{baseline.contract_digest}.*baseline_arm"):
        served_models(store)


def test_a_state_that_is_broken_is_an_error(store: RolloutStore, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, b"{")
    with pytest.raises(ServedUnknownError, match="baseline_arm"):
        served_models(store)
