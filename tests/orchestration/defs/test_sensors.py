"""The sensors on a real Redis and an instance that holds real events: what a tick asks for, records and tells."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from orchestration.defs.common import DAILY_ASSETS
from orchestration.defs.due import ATTEMPTS
from orchestration.defs.sensors_data import ingest_completed_days
from orchestration.defs.sensors_rollout import CHANGES_A_TICK, record_rollout_changes
from orchestration.notices.journal import read
from orchestration.notices.notice import Notice
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, start_canary
from tests.orchestration.features.lakes import there
from tests.orchestration.notices.test_send import listening
from tests.servers import free_port

pytestmark = pytest.mark.integration
DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-12-31").get_partition_keys()
Asked = dg.RunRequest | dg.SkipReason | dg.SensorResult


def arm(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest="d")


def by(actor: str, reason: str = "test") -> dict[str, object]:
    return {"actor": actor, "reason": reason, "now": datetime(2026, 5, 1, 12, tzinfo=UTC)}


class Scene:
    """A store, an instance, a home, and ticks that carry the cursor on as the daemon does."""

    def __init__(self, url: str, home: Path) -> None:
        self.store = RolloutStore.connect(url)
        self.instance = dg.DagsterInstance.ephemeral()
        self.home = home
        self.cursor: str | None = None

    def stored(self, asset: str, first: str, last: str) -> None:
        for day in DAYS[DAYS.index(first) : DAYS.index(last) + 1]:
            there(self.home / "lake", asset, date.fromisoformat(day))

    def computed(self, first: str, last: str) -> None:
        for asset in DAILY_ASSETS:
            self.stored(asset, first, last)

    def ended(self, asked: dg.RunRequest, job: str, status: dg.DagsterRunStatus) -> None:
        """What was asked for has been run."""

        @dg.job(name=job)
        def empty() -> None:
            return

        self.instance.create_run_for_job(empty, status=status, tags=dict(asked.tags))

    def asked(self, sensor: dg.SensorDefinition) -> dg.RunRequest:
        found = self.tick(sensor)
        if isinstance(found, dg.SensorResult):
            (found,) = found.run_requests or []
        assert isinstance(found, dg.RunRequest), found
        return found

    def clock(self, time: str) -> None:
        self.store.advance_clock(datetime.fromisoformat(time).replace(tzinfo=UTC))

    def tick(self, sensor: dg.SensorDefinition) -> Asked:
        found = sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        assert isinstance(found, Asked)
        if isinstance(found, dg.SensorResult):
            self.cursor = found.cursor
        return found

    def skipped(self, sensor: dg.SensorDefinition) -> str:
        found = self.tick(sensor)
        assert isinstance(found, dg.SkipReason), found
        return str(found.skip_message)

    def result(self, sensor: dg.SensorDefinition) -> dg.SensorResult:
        found = self.tick(sensor)
        assert isinstance(found, dg.SensorResult), found
        return found

    def notices(self) -> list[Notice]:
        return read(self.home / "notices.jsonl").notices


@pytest.fixture
def scene(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    return Scene(redis_url, tmp_path)


def test_completed_days_are_asked_for_as_one_range(scene: Scene) -> None:
    scene.clock("2013-02-14T00:01")
    assert "no day before 2013-02-14 has all its assets" in scene.skipped(ingest_completed_days)
    scene.computed("2013-02-01", "2013-02-10")
    asked = scene.asked(ingest_completed_days)
    assert asked.tags["dagster/asset_partition_range_start"] == "2013-02-11"
    assert asked.tags["dagster/asset_partition_range_end"] == "2013-02-13"
    scene.computed("2013-02-11", "2013-02-13")
    assert "every completed day is there" in scene.skipped(ingest_completed_days)


def test_a_range_whose_run_died_half_way_is_asked_for_again_and_then_left_to_a_person(scene: Scene) -> None:
    scene.clock("2013-02-14T00:01")
    scene.computed("2013-02-01", "2013-02-10")
    keys_asked = []
    for _ in range(ATTEMPTS):
        asked = scene.asked(ingest_completed_days)
        assert asked.tags["dagster/asset_partition_range_start"] == "2013-02-11"
        keys_asked.append(asked.run_key)
        scene.stored("raw_flights", "2013-02-11", "2013-02-13")
        scene.ended(asked, "ingest_and_compute", dg.DagsterRunStatus.FAILURE)
    assert len(set(keys_asked)) == ATTEMPTS, "the daemon launches a run key once"
    assert "run 3 times for drift/days 2013-02-11:2013-02-13" in scene.skipped(ingest_completed_days)
    scene.clock("2013-02-15T00:01")
    assert scene.asked(ingest_completed_days).tags["dagster/asset_partition_range_start"] == "2013-02-11"


def test_a_day_that_the_lake_has_lost_is_no_stored_day_whatever_dagster_remembers(scene: Scene) -> None:
    scene.clock("2013-02-14T00:01")
    scene.computed("2013-02-01", "2013-02-13")
    for asset in DAILY_ASSETS:
        scene.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition="2013-02-13"))
    (scene.home / "lake/training/day=2013-02-13.parquet").unlink()
    asked = scene.asked(ingest_completed_days)
    assert asked.tags["dagster/asset_partition_range_start"] == "2013-02-13"


def test_an_ingestion_under_way_is_waited_for(scene: Scene) -> None:
    @dg.job(name="compute_day")
    def empty() -> None:
        return

    scene.clock("2013-02-14T00:01")
    scene.computed("2013-02-01", "2013-02-10")
    scene.instance.create_run_for_job(empty, status=dg.DagsterRunStatus.STARTED)
    assert "of compute_day is under way" in scene.skipped(ingest_completed_days)


def observed(result: dg.SensorResult) -> list[tuple[int, str, str]]:
    found = []
    for event in result.asset_events:
        assert isinstance(event, dg.AssetObservation)
        assert event.asset_key == dg.AssetKey("rollout_state")
        told = {label: value.value for label, value in event.metadata.items()}
        assert str(told["as served"]).endswith("/rollout")
        found.append((int(str(told["generation"])), str(told["phase"]), str(told["actor"])))
    return found


def test_every_change_is_observed_once_and_in_order(scene: Scene) -> None:
    assert scene.skipped(record_rollout_changes) == "the rollout has not changed"
    scene.store.write(first_state(arm(1), **by("dagster:run")), None)
    scene.store.change(lambda s: start_canary(s, arm(2), weight_bp=1000, shadow_fraction=1.0, **by("dagster:run")))
    assert observed(scene.result(record_rollout_changes)) == [
        (1, "stable", "dagster:run"),
        (2, "canary", "dagster:run"),
    ]
    scene.store.change(lambda s: rolled_back(s, **by("cli:me")))
    result = scene.result(record_rollout_changes)
    assert observed(result) == [(3, "rolled_back", "cli:me")]
    (event,) = result.asset_events
    told = {label: value.value for label, value in event.metadata.items()}
    assert (told["canary"], told["canary weight"], told["reason"]) == ("m_v2", 0.0, "test")
    assert scene.skipped(record_rollout_changes) == "the rollout has not changed"
    assert scene.notices() == [], "nobody was surprised"


def test_many_changes_take_several_ticks(scene: Scene) -> None:
    scene.store.write(first_state(arm(1), **by("test")), None)
    for _ in range(CHANGES_A_TICK):
        scene.store.change(lambda s: rolled_back(s, **by("test")))
    seen = observed(scene.result(record_rollout_changes)) + observed(scene.result(record_rollout_changes))
    assert [generation for generation, _, _ in seen] == list(range(1, CHANGES_A_TICK + 2))


def test_a_gateways_trip_is_told_once(scene: Scene) -> None:
    scene.store.write(first_state(arm(1), **by("test")), None)
    scene.store.change(lambda s: start_canary(s, arm(2), weight_bp=1000, shadow_fraction=1.0, **by("test")))
    scene.store.change(lambda s: rolled_back(s, **by("gateway:east", "10 canary requests failed in a row")))
    scene.result(record_rollout_changes)
    scene.skipped(record_rollout_changes)
    (notice,) = scene.notices()
    assert notice.severity == "SEV2"
    assert notice.title == "m_v2 was stopped by gateway:east"
    assert "10 canary requests failed in a row" in notice.text


@pytest.mark.parametrize("slack", [False, True])
def test_a_trip_that_cannot_be_kept_is_looked_at_again_unless_slack_was_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, slack: bool
) -> None:
    (scene.home / "file").touch()
    monkeypatch.setenv("PLATFORM_HOME", str(scene.home / "file"))
    scene.store.write(first_state(arm(1), **by("test")), None)
    scene.store.change(lambda s: rolled_back(s, **by("gateway:east")))
    with listening() as hook:
        if slack:
            monkeypatch.setenv("SLACK_WEBHOOK_URL", hook.url)
            scene.result(record_rollout_changes)
            scene.skipped(record_rollout_changes)
        else:
            with pytest.raises(OSError, match="file"):
                scene.tick(record_rollout_changes)
    assert len(hook.bodies) == slack


def test_what_a_gateway_changes_besides_is_no_trip(scene: Scene) -> None:
    scene.store.write(first_state(arm(1), **by("gateway:east", "restored")), None)
    assert observed(scene.result(record_rollout_changes)) == [(1, "stable", "gateway:east")]
    assert scene.notices() == []


def test_a_rollback_that_a_gateway_brings_back_is_no_trip_and_the_retold_past_no_change(scene: Scene) -> None:
    first = first_state(arm(1), **by("test"))
    trip = rolled_back(first, **by("gateway:east", "10 failed in a row"))
    restored = msgspec.structs.replace(trip, epoch=2, generation=1, restores=trip.position)
    scene.store.write(restored, None, forgotten=[first, trip])
    assert observed(scene.result(record_rollout_changes)) == [(1, "rolled_back", "gateway:east")]
    assert scene.notices() == []


def test_an_unreadable_change_is_told_once_and_hides_none_that_follows(scene: Scene) -> None:
    entry = scene.store._redis.xadd(keys.AUDIT, {"state": "{"})
    assert isinstance(entry, bytes)
    scene.store.write(first_state(arm(1), **by("dagster:run")), None)
    assert observed(scene.result(record_rollout_changes)) == [(1, "stable", "dagster:run")]
    assert scene.skipped(record_rollout_changes) == "the rollout has not changed"
    (notice,) = scene.notices()
    assert f"{keys.AUDIT} {entry.decode()} in Redis is unreadable" in notice.text


@pytest.mark.parametrize("sensor", [ingest_completed_days, record_rollout_changes], ids=lambda s: s.name)
def test_a_redis_that_is_away_is_a_reason(
    scene: Scene, sensor: dg.SensorDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert "Redis does not answer" in scene.skipped(sensor)
