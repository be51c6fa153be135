"""A store that loses its memory, and gateways that bring it forward: the laws, over many histories."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.transitions import (
    first_state,
    on_trial,
    rolled_back,
    set_baseline,
    set_weight,
    start_canary,
)
from serving_gateway.rollout.tripwire import Trip
from tests.serving_gateway.rollout.forgetful import Content, FollowingGateway, StoreInMemory, StoreInRedis
from tests.serving_gateway.support import CONTRACT, arm_of, version

CONTRACTS = {contract.digest: contract for contract in (CONTRACT, version(2), version(3))}
BASELINE, *TRIED = [arm_of(contract) for contract in CONTRACTS.values()]
GATEWAYS = 3
NUMBERS = st.integers(0, GATEWAYS - 1)


class Losses(RuleBasedStateMachine):
    """People change the rollout, gateways follow it, and the store forgets."""

    redis_url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.store = StoreInMemory() if self.redis_url is None else StoreInRedis(self.redis_url)
        self.store.put_back({})
        self.folder = tempfile.TemporaryDirectory()
        self.clock = datetime(2026, 1, 1, tzinfo=UTC)
        self.gateways = [
            FollowingGateway(f"g{number}", Path(self.folder.name) / f"machine{number}", self.store, CONTRACTS)
            for number in range(GATEWAYS)
        ]
        self.saved: list[Content] = []
        self.rollbacks: dict[str, RolloutState] = {}  # that were served, by the model that lost its traffic
        self.issued: list[RolloutState] = []  # rollbacks that people asked for
        self.overruled: dict[RolloutState, set[RolloutState]] = {}  # a rollback to what tried its model again
        self.somebody_publishes_a_baseline(BASELINE, seen=True)

    def teardown(self) -> None:
        self.everything_heals()
        self.folder.cleanup()

    def now(self) -> datetime:
        self.clock += timedelta(seconds=1)
        return self.clock

    def signed(self, reason: str) -> dict[str, Any]:
        return {"actor": "cli:me", "reason": reason, "now": self.now()}

    def look(self, *gateways: FollowingGateway) -> None:
        for gateway in gateways:
            known, trip = len(gateway.served), gateway.trip
            gateway.look(self.now())
            if trip is not None and gateway.trip is None:
                serves = gateway.served[-1]
                canary = serves.arms.canary
                assert canary is None or canary.triton_model != trip.triton_model or not on_trial(serves)
            for state in gateway.served[known:]:
                ended = state.arms.canary if state.phase == "rolled_back" and state.restores is None else None
                if ended is not None and not self.is_past(state):
                    self.rollbacks.setdefault(ended.triton_model, state)

    def is_past(self, rollback: RolloutState) -> bool:
        """Whether somebody who knew of it tried the model again, and a gateway has served that already."""
        served = {state for gateway in self.gateways for state in gateway.served}
        return bool(self.overruled.get(rollback, set()) & served)

    def change(self, transition: Callable[[RolloutState], RolloutState], *, seen: bool) -> RolloutState:
        state = self.store.change(transition)
        self.saved.append(self.store.content())
        if seen:
            self.look(*self.gateways)
        return state

    # --- people; `seen`: the gateways look before anything else happens ---

    @rule(arm=st.sampled_from(TRIED), seen=st.booleans())
    def somebody_tries_a_model(self, arm: Arm, *, seen: bool) -> None:
        stands, audit = self.store.known_since(None)
        if stands is None or arm == stands.arms.baseline:
            return
        # somebody who could know of the rollbacks in the audit
        self.issued = [state for state in self.issued if state.arms.canary != arm or state not in audit]
        if self.rollbacks.get(arm.triton_model) in audit:
            del self.rollbacks[arm.triton_model]
        self.store.put_contract(CONTRACTS[arm.contract_digest])
        tried = {"weight_bp": 100, "shadow_fraction": 0.0, **self.signed("try")}
        again = self.change(lambda s: start_canary(s, arm, **tried), seen=seen)
        for state in audit:
            if state.phase == "rolled_back" and state.arms.canary == arm:
                self.overruled.setdefault(state, set()).add(again)

    @rule(seen=st.booleans())
    def somebody_changes_the_weight(self, *, seen: bool) -> None:
        stands = self.store.read()
        if stands is not None and on_trial(stands):
            self.change(lambda s: set_weight(s, s.canary_weight_bp + 1, **self.signed("weight")), seen=seen)

    @rule(arm=st.sampled_from([BASELINE, *TRIED]), seen=st.booleans())
    def somebody_publishes_a_baseline(self, arm: Arm, *, seen: bool) -> None:
        self.store.put_contract(CONTRACTS[arm.contract_digest])
        if self.store.read() is None:
            self.store.write(first_state(arm, **self.signed("first")), None)
        self.change(lambda s: set_baseline(s, arm, **self.signed("promoted")), seen=seen)

    @rule(seen=st.booleans())
    def somebody_rolls_back(self, *, seen: bool) -> None:
        """As `python -m serving_gateway.rollback --confirm` does: it is done when every live gateway has said so."""
        stands = self.store.read()
        if stands is None or not on_trial(stands):
            return
        state = self.change(lambda s: rolled_back(s, **self.signed("bad")), seen=seen)
        self.issued.append(state)
        try:
            obeyed = self.store.wait_until_served(state, timeout_s=0, alive_within_s=1e9)
        except TimeoutError:
            return
        live = {said.gateway for said in obeyed}
        for gateway in self.gateways:
            assert gateway.name not in live or not on_trial(gateway.served[-1])

    # --- the store ---

    @rule(ago=st.integers(1, 6))
    def the_store_is_restored_from_an_old_file(self, ago: int) -> None:
        self.store.put_back(self.saved[-min(ago, len(self.saved))])
        for gateway in self.gateways:
            self.store.acknowledge(gateway.name, None)

    @rule()
    def the_store_is_flushed(self) -> None:
        self.store.put_back({})

    # --- gateways ---

    @rule(number=NUMBERS)
    def a_gateway_looks(self, number: int) -> None:
        self.look(self.gateways[number])

    @rule(number=NUMBERS)
    def a_gateway_is_cut_off(self, number: int) -> None:
        self.gateways[number].cut_off()

    @rule(number=NUMBERS)
    def a_gateway_comes_back(self, number: int) -> None:
        self.gateways[number].connected = True

    @rule(number=NUMBERS)
    def a_gateway_is_started_again(self, number: int) -> None:
        self.gateways[number].start()

    @rule(number=NUMBERS)
    def a_gateway_trips(self, number: int) -> None:
        gateway = self.gateways[number]
        if gateway.served and on_trial(gateway.served[-1]):
            canary = gateway.served[-1].arms.canary
            assert canary is not None
            gateway.trip = Trip(triton_model=canary.triton_model, reason="10 failed in a row", time="")

    # --- laws ---

    @invariant()
    def positions_never_go_back(self) -> None:
        for gateway in self.gateways:
            positions = [state.position for state in gateway.served]
            assert positions == sorted(set(positions)), gateway.name

    def everything_heals(self) -> None:
        for _ in range(2):
            for gateway in self.gateways:
                gateway.connected = True
                self.look(gateway)
        self.positions_never_go_back()
        stands, audit = self.store.known_since(None)
        assert [gateway.served[-1] if gateway.served else None for gateway in self.gateways] == [stands] * GATEWAYS
        if stands is None:
            return
        assert {state for gateway in self.gateways for state in gateway.served} <= set(audit)
        for arm in (stands.arms.baseline, stands.arms.canary):
            assert arm is None or self.store.contract(arm.contract_digest) is not None
        if on_trial(stands) and stands.arms.canary is not None:
            assert stands.arms.canary.triton_model not in self.rollbacks
            assert stands.arms.canary not in [state.arms.canary for state in self.issued if state in audit]


def check(examples: int) -> None:
    run_state_machine_as_test(
        Losses,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_what_was_served_is_never_lost() -> None:
    check(50)


@pytest.mark.integration
def test_nor_with_a_real_redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Losses, "redis_url", redis_url)
    check(15)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_nor_in_very_many_histories() -> None:
    check(5_000)
