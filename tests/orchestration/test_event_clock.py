"""Which clock counts: a replay's only where the settings say so, whatever an earlier one left in Redis."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.embedded.environment import prepare
from orchestration.event_clock import event_now, event_time
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore

LEFT = datetime(2013, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    store = RolloutStore.connect(redis_url)
    store.advance_clock(LEFT)
    return store


@pytest.mark.integration
@pytest.mark.parametrize("clock", ["wall", None])
def test_what_a_replay_left_is_no_clock_of_production(
    clock: str | None, store: RolloutStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENT_CLOCK", raising=False)
    if clock is not None:
        monkeypatch.setenv("EVENT_CLOCK", clock)
    before = datetime.now(UTC)
    for now in (event_now, event_time):
        assert before <= (now(Settings(home=tmp_path), store) or LEFT) <= before + timedelta(minutes=1)


@pytest.mark.integration
def test_a_replay_drives_the_clock_and_until_then_the_wall_does(
    store: RolloutStore, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    settings = Settings(home=tmp_path)
    assert event_time(settings, store) == event_now(settings, store) == LEFT
    store.advance_clock(LEFT + timedelta(hours=1))
    assert event_now(settings, store) == LEFT + timedelta(hours=1)
    store._redis.flushall()
    assert event_time(settings, store) is None
    assert event_now(settings, store) > LEFT + timedelta(days=365)


@pytest.mark.parametrize("started_with", ["replay", "wall"])
def test_a_shell_beside_the_embedded_platform_has_its_clock_unless_it_says_another(
    started_with: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    monkeypatch.setenv("EVENT_CLOCK", started_with)
    assert prepare(settings)["EVENT_CLOCK"] == started_with
    other = {"replay": "wall", "wall": "replay"}[started_with]
    monkeypatch.setenv("EVENT_CLOCK", other)
    assert settings.replays is (other == "replay")
    monkeypatch.delenv("EVENT_CLOCK")
    assert settings.replays is (started_with == "replay")


def test_the_embedded_platform_replays_unless_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENT_CLOCK", raising=False)
    assert prepare(Settings(home=tmp_path))["EVENT_CLOCK"] == "replay"
    assert Settings(home=tmp_path).replays
