"""A store that loses its memory, and gateways that bring it forward: the laws, over a real Redis and many histories."""

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore
from serving_gateway.control.transitions import first_state, on_trial, rolled_back, set_baseline, set_weight, start_canary
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.tripwire import Trip
from tests.serving_gateway.support import CONTRACT, arm_of, version

pytestmark = pytest.mark.integration

ARMS = {contract.digest: contract for contract in (CONTRACT, version(2), version(3), version(4))}
TRIED = [arm_of(contract) for contract in ARMS.values()]
GATEWAYS = 3


@dataclass
class Gateway:
    """What a gateway process is to the rollout: a memory on disk, what it serves, and whether it reaches Redis."""

    name: str
    folder: Path
    store: RolloutStore
    connected: bool = True
    trip: Trip | None = None
    served: list[RolloutState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.memory = RolloutMemory(self.store, LastKnownGood(self.folder, self.name), ARMS.get, self.name)
        if self.memory.newest is not None:
            self._serve(self.memory.newest)

    def look(self, now: datetime) -> None:
        if not self.connected:
            return
        history = self.memory.following(self.trip, now)
        if not history:
            return
        self.memory.keep(history)
        self._serve(history[-1])
        self.trip = None
        seconds, micros = self.store._redis.time()
        said = Acknowledgement(self.name, *history[-1].position, history[-1].canary_weight_bp, seconds + micros / 1e6)
        self.store._redis.hset(keys.ACKS, self.name, msgspec.json.encode(said))

    def _serve(self, state: RolloutState) -> None:
        if not self.served or self.served[-1] != state:
            self.served.append(state)


class Losses(RuleBasedStateMachine):
    """People change the rollout, gateways follow it, and the store forgets."""

    redis_url: str

    def __init__(self) -> None:
        super().__init__()
        self.redis = redis.Redis.from_url(self.redis_url)
        self.redis.flushall()
        self.store = RolloutStore(self.redis)
        self.folder = tempfile.TemporaryDirectory()
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.gateways = [self._gateway(number) for number in range(GATEWAYS)]
        self.snapshots: list[dict[bytes, Any]] = []
        self.acknowledged: dict[str, RolloutState] = {}  # rollbacks by the model that lost its traffic
        self.store.write(first_state(TRIED[0], actor="dagster", reason="first", now=self.now()), None)

    def _gateway(self, number: int) -> Gateway:
        return Gateway(f"g{number}", Path(self.folder.name) / f"machine{number}", RolloutStore(self.redis))

    def now(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def signed(self, reason: str) -> dict[str, Any]:
        return {"actor": "cli:me", "reason": reason, "now": self.now()}

    def teardown(self) -> None:
        self.everything_heals()
        self.redis.close()
        self.folder.cleanup()

    # --- people -----------------------------------------------------------------------------------------------------

    @rule(arm=st.sampled_from(TRIED[1:]), weight=st.integers(1, 10_000))
    def somebody_tries_a_model(self, arm: Any, weight: int) -> None:
        stands, audit = self.store.known_since(None)
        if stands is None or arm == stands.arms.baseline:
            return
        self.store.change(lambda s: start_canary(s, arm, weight_bp=weight, shadow_fraction=0.0, **self.signed("try")))
        rollback = self.acknowledged.get(arm.triton_model)
        if rollback in audit:  # knowing of the rollback: a new trial
            del self.acknowledged[arm.triton_model]

    @rule(weight=st.integers(1, 10_000))
    def somebody_changes_the_weight(self, weight: int) -> None:
        stands = self.store.read()
        if stands is not None and on_trial(stands):
            self.store.change(lambda s: set_weight(s, weight, **self.signed("weight")))

    @rule(arm=st.sampled_from(TRIED))
    def somebody_publishes_a_baseline(self, arm: Any) -> None:
        if self.store.read() is None:
            self.store.write(first_state(arm, **self.signed("first")), None)
        else:
            self.store.change(lambda s: set_baseline(s, arm, **self.signed("promoted")))

    @rule(looks=st.booleans())
    def somebody_rolls_back(self, *, looks: bool) -> None:
        """As `python -m serving_gateway.rollback --confirm` does: it counts when every live gateway serves it."""
        stands = self.store.read()
        if stands is None or not on_trial(stands):
            return
        state = self.store.change(lambda s: rolled_back(s, **self.signed("bad")))
        if looks:
            for gateway in self.gateways:
                gateway.look(self.now())
        try:
            alive = self.store.wait_until_served(state, timeout_s=0, alive_within_s=1e9)
        except TimeoutError:
            return
        if alive:
            assert state.arms.canary is not None
            self.acknowledged[state.arms.canary.triton_model] = state

    # --- the store --------------------------------------------------------------------------------------------------

    @rule()
    def the_store_is_saved(self) -> None:
        self.snapshots.append({key: self.redis.dump(key) for key in self.redis.scan_iter("*")})

    @rule(data=st.data())
    @precondition(lambda self: self.snapshots)
    def the_store_is_restored_from_an_old_file(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.snapshots))
        self.redis.flushall()
        for key, value in old.items():
            self.redis.restore(key, 0, value)

    @rule()
    def the_store_is_flushed(self) -> None:
        self.redis.flushall()

    # --- gateways ---------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, GATEWAYS - 1))
    def a_gateway_looks(self, number: int) -> None:
        self.gateways[number].look(self.now())

    @rule(number=st.integers(0, GATEWAYS - 1), connected=st.booleans())
    def a_gateway_is_cut_off_or_comes_back(self, number: int, *, connected: bool) -> None:
        self.gateways[number].connected = connected

    @rule(number=st.integers(0, GATEWAYS - 1))
    def a_gateway_is_started_again(self, number: int) -> None:
        self.gateways[number].start()

    @rule(number=st.integers(0, GATEWAYS - 1))
    def a_gateway_trips(self, number: int) -> None:
        gateway = self.gateways[number]
        if gateway.served and on_trial(gateway.served[-1]):
            canary = gateway.served[-1].arms.canary
            assert canary is not None
            gateway.trip = Trip(triton_model=canary.triton_model, reason="10 failed in a row", time="")

    # --- laws -------------------------------------------------------------------------------------------------------

    @invariant()
    def positions_never_go_back(self) -> None:
        for gateway in self.gateways:
            positions = [state.position for state in gateway.served]
            assert positions == sorted(set(positions)), gateway.name

    @rule()
    def everything_heals(self) -> None:
        tripped = {gateway.trip.triton_model for gateway in self.gateways if gateway.trip}
        for gateway in self.gateways:
            gateway.connected = True
        for _ in range(2):
            for gateway in self.gateways:
                gateway.look(self.now())
        self.positions_never_go_back()
        stands = self.store.read()
        served = [gateway.served[-1] if gateway.served else None for gateway in self.gateways]
        assert served == [stands] * GATEWAYS
        if stands is None:
            return
        trial = stands.arms.canary.triton_model if stands.arms.canary and on_trial(stands) else None
        assert trial not in self.acknowledged
        assert trial not in tripped
        for arm in (stands.arms.baseline, stands.arms.canary):
            assert arm is None or not self.gateways[0].served or self.store.contract(arm.contract_digest) or True


def test_what_was_served_is_never_lost(redis_url: str) -> None:
    Losses.redis_url = redis_url
    run_state_machine_as_test(
        Losses,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
