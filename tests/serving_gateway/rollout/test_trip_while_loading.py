"""A canary that trips while a newer state that names it is being loaded gets no traffic by that state either."""

import asyncio
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.served import Loader, Served
from serving_gateway.rollout.tripwire import Tripwire
from tests.serving_gateway.scoring.scripted import ScriptedArm, served_by
from tests.serving_gateway.support import CANARY, CONTRACT, TWO, arm_of, publish_state

pytestmark = pytest.mark.integration


class Paused(Loader):
    """Loads nothing, and only when it may."""

    def __init__(self) -> None:
        self.loading, self.may = asyncio.Event(), asyncio.Event()

    async def load(self, state: RolloutState, *, stopped: bool) -> Served:
        self.loading.set()
        await self.may.wait()
        served = served_by(ScriptedArm("baseline", 0.1), canary=ScriptedArm("canary", 0.9))
        return msgspec.structs.replace(served, state=state, stopped=stopped)


def test_a_trip_while_a_state_is_loaded_holds_for_it(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    weight, after = asyncio.run(weights(store, redis_url, tmp_path))
    assert (weight, after) == (0, 0)
    state = store.read()
    assert state is not None
    assert (state.phase, state.actor) == ("rolled_back", "gateway:g1")


async def weights(store: RolloutStore, redis_url: str, folder: Path) -> tuple[int, int]:
    """The canary's weight that is served once the state is loaded, and once the trip is in the store."""
    client, loader = redis.asyncio.Redis.from_url(redis_url), Paused()
    wire = Tripwire(folder / "trips/g1.json", enabled=True)
    memory = RolloutMemory(store, LastKnownGood(folder / "rollout", "g1"), lambda _digest: None, "g1")
    follower = Follower(gateway="g1", client=client, loader=loader, memory=memory, tripwire=wire, metrics=Metrics())
    looking = asyncio.create_task(follower.look())
    await loader.loading.wait()
    for _ in range(6):
        wire.observe(arm_of(TWO).triton_model, failed=True)
    assert wire.trip is not None
    assert follower.served is None
    loader.may.set()
    await looking
    assert follower.served is not None
    weight = follower.served.canary_weight_bp
    await follower.look()
    await client.aclose()
    return weight, follower.served.canary_weight_bp
