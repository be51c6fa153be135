"""A pending trip against a real Redis: it is settled by a rollback that stands in the store."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back, set_weight
from serving_gateway.rollout.tripwire import Trip, Tripwire
from tests.serving_gateway.support import CANARY, CONTRACT, NOW, TWO, publish_state, wait_for

pytestmark = pytest.mark.integration
BY = {"actor": "cli:me", "reason": "test", "now": NOW}


def left_behind(file: Path, model: str = "delay_v2") -> Path:
    """A trip that a worker had not written to the store when it ended."""
    file.write_bytes(msgspec.json.encode(Trip(triton_model=model, reason="10 failed in a row", time="")))
    return file


def settled(store: RolloutStore, folder: Path, of: str = "g1") -> RolloutState:
    """What stands after a gateway has settled a trip of the canary that the life of worker `of` left on disk."""
    file = left_behind(folder / f"{of}.json")
    wire = Tripwire(folder / "g1.json", store, "g1", enabled=True)
    assert wire.stops(CANARY)

    async def run() -> None:
        task = asyncio.create_task(wire.run())
        await asyncio.to_thread(wait_for, lambda: not file.exists())
        task.cancel()

    asyncio.run(run())
    state = store.read()
    assert state is not None
    return state


def test_a_canary_that_waits_without_a_share_is_rolled_back_too(redis_url: str, tmp_path: Path) -> None:
    """Else the next share would be given to a canary that a gateway has stopped."""
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    store.change(lambda s: set_weight(s, 0, **BY))
    state = settled(store, tmp_path)
    assert (state.phase, state.actor, state.reason) == ("rolled_back", "gateway:g1", "10 failed in a row")


def test_a_rollback_that_stands_already_is_left_as_it_is(redis_url: str, tmp_path: Path) -> None:
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    before = store.change(lambda s: rolled_back(s, **BY))
    assert settled(store, tmp_path) == before


def test_a_worker_settles_what_another_one_left(redis_url: str, tmp_path: Path) -> None:
    """After a rolling restart nobody may come back to that worker's name; its canary must not get its share again."""
    store = publish_state(redis_url, CANARY, CONTRACT, TWO)
    other = left_behind(tmp_path / "g7.json", "delay_v9")
    state = settled(store, tmp_path, of="g1-1")
    assert (state.phase, state.actor) == ("rolled_back", "gateway:g1")
    assert other.exists()  # of another model: not settled by this
