"""A trip is kept until its rollback is served, and written to a store that knows what was served here."""

from pathlib import Path

import msgspec
import pytest

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.reflex import TripPolicy
from serving_gateway.control.transitions import rolled_back, set_weight, start_canary
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.tripwire import Trip, Tripwire
from tests.serving_gateway.rollout.forgetful import StoreInMemory
from tests.serving_gateway.support import CANARY, CONTRACT, NOW, TWO, arm_of, state_of

BY = {"actor": "cli:me", "reason": "test", "now": NOW}
TRIP = Trip(triton_model="delay_v2", reason="10 failed in a row", time="")


def failing(file: Path) -> Tripwire:
    wire = Tripwire(file, enabled=True, policy=TripPolicy(requests=10, chance=0.001))
    for _ in range(3):
        wire.observe("delay_v2", failed=True)
    return wire


def test_a_trip_is_on_disk_until_it_is_settled(tmp_path: Path) -> None:
    file = tmp_path / "trips/g1.json"
    wire = failing(file)
    assert wire.trip is not None
    again = Tripwire(file, enabled=True)
    assert again.trip == wire.trip
    assert again.stops(CANARY)
    wire.settle(wire.trip)
    assert (wire.trip, file.exists(), wire.stops(CANARY)) == (None, False, False)


def test_a_newer_trip_is_not_settled_by_an_older_ones_rollback(tmp_path: Path) -> None:
    wire = failing(tmp_path / "g1.json")
    older = wire.trip
    assert older is not None
    for _ in range(3):
        wire.observe("delay_v3", failed=True)
    wire.settle(older)
    assert wire.trip is not None
    assert wire.trip.triton_model == "delay_v3"
    assert (tmp_path / "g1.json").exists()


@pytest.mark.parametrize("planted", [b"", b"nonsense", b"\xff", b"[" * 100_000])
def test_an_unreadable_trip_is_none(planted: bytes, tmp_path: Path) -> None:
    (tmp_path / "g1.json").write_bytes(planted)
    assert Tripwire(tmp_path / "g1.json", enabled=True).trip is None


def test_a_reflex_that_is_off_never_trips(tmp_path: Path) -> None:
    wire = Tripwire(tmp_path / "g1.json", enabled=False, policy=TripPolicy(requests=1, chance=0.1))
    wire.observe("delay_v2", failed=True)
    assert wire.trip is None


@pytest.fixture
def store() -> StoreInMemory:
    store = StoreInMemory()
    store.write(CANARY, None)
    return store


def followed(store: StoreInMemory, folder: Path, trip: Trip | None) -> RolloutState:
    memory = RolloutMemory(store, LastKnownGood(folder, "g1"), {c.digest: c for c in (CONTRACT, TWO)}.get, "g1")
    history = memory.following(trip, NOW)
    memory.keep(history)
    return history[-1]


def test_a_trip_becomes_a_rollback(store: StoreInMemory, tmp_path: Path) -> None:
    state = followed(store, tmp_path, TRIP)
    assert state == store.read()
    assert (state.position, state.phase) == ((1, 2), "rolled_back")
    assert (state.actor, state.reason) == ("gateway:g1", "10 failed in a row")


def test_a_canary_that_waits_without_a_share_is_rolled_back_too(store: StoreInMemory, tmp_path: Path) -> None:
    """Else the next share would be given to a canary that a gateway has stopped."""
    store.change(lambda s: set_weight(s, 0, **BY))  # type: ignore[arg-type]
    assert followed(store, tmp_path, TRIP).phase == "rolled_back"


def test_a_rollback_that_stands_already_and_another_canary_are_left_as_they_are(
    store: StoreInMemory, tmp_path: Path
) -> None:
    before = store.change(lambda s: rolled_back(s, **BY))  # type: ignore[arg-type]
    assert followed(store, tmp_path, TRIP) == before
    other = msgspec.structs.replace(arm_of(TWO), triton_model="delay_v3")
    tried = {"weight_bp": 1, "shadow_fraction": 0.0, **BY}
    before = store.change(lambda s: start_canary(s, other, **tried))  # type: ignore[arg-type]
    assert followed(store, tmp_path, TRIP) == before


def test_a_store_without_the_tripped_canary_is_told_of_it_first(store: StoreInMemory, tmp_path: Path) -> None:
    followed(store, tmp_path, None)
    store.put_back({})
    store.write(state_of(CONTRACT), None)  # older than what was served
    state = followed(store, tmp_path, TRIP)
    assert (state.position, state.phase, state.arms) == ((2, 2), "rolled_back", CANARY.arms)
    assert store.contract(TWO.digest) == TWO
