"""A trip that a worker left on disk when it stopped: whoever starts next keeps that canary stopped, and settles it."""

from pathlib import Path

import msgspec

from serving_gateway.rollout.tripwire import Trip, Tripwire
from tests.serving_gateway.support import CONTRACT, TWO, arm_of, state_of

CANARY = state_of(CONTRACT, TWO, weight_bp=1000)


def left(file: Path, model: str) -> Path:
    trip = Trip(triton_model=model, reason="10 failed in a row", time="2026-01-01T00:00:00+00:00")
    file.write_bytes(msgspec.json.encode(trip))
    return file


def test_a_worker_keeps_stopped_what_another_one_stopped_and_settles_it(tmp_path: Path) -> None:
    """After a rolling restart nobody may come back to that worker's name; its canary must not get its share again."""
    theirs = left(tmp_path / "g-1.json", arm_of(TWO).triton_model)
    other = left(tmp_path / "g-2.json", "delay_v9")
    tripwire = Tripwire(tmp_path / "g.json", enabled=True)
    assert tripwire.stops(CANARY)
    assert tripwire.trip is not None
    tripwire.settle(tripwire.trip)
    assert not tripwire.stops(CANARY)
    assert not theirs.exists()
    assert other.exists()  # of another model: not settled by this


def test_its_own_file_comes_first_and_without_the_reflex_none_counts(tmp_path: Path) -> None:
    left(tmp_path / "a.json", "delay_v9")
    own = left(tmp_path / "g.json", arm_of(TWO).triton_model)
    assert Tripwire(own, enabled=True).stops(CANARY)
    assert not Tripwire(own, enabled=False).stops(CANARY)


def test_an_unreadable_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text("{")
    assert Tripwire(tmp_path / "g.json", enabled=True).trip is None
