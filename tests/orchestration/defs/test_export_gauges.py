"""What the sensor writes for Prometheus: read back from the files, over a real Redis and an instance with real runs."""

import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from orchestration.defs.gauges import export_gauges
from orchestration.features.store import online_client
from orchestration.gauges import write_gauges
from orchestration.platform_gauges import platform_gauges
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state
from tests.observability.exposed import SENSOR, labels_by_name
from tests.servers import free_port, redis_cluster

pytestmark = pytest.mark.integration
CLOCK = datetime(2013, 5, 1, 12, tzinfo=UTC)
Samples = dict[tuple[str, ...], float]


@dg.asset(check_specs=[dg.AssetCheckSpec("rows_are_there", asset="table")])
def table(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Its check fails, and the whole run too, where the tags say so."""
    if context.run.tags.get("breaks"):
        raise dg.Failure("broken", allow_retries=False)
    passed = not context.run.tags.get("empty")
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN)])


@dg.asset
def never_made() -> None:
    """Nobody materializes it."""


FILL = dg.define_asset_job("fill", selection=[table])
DEFS = dg.Definitions(assets=[table, never_made], jobs=[FILL])


def read(path: Path) -> Samples:
    """(name, label values by label) to value."""
    samples = [s for family in text_string_to_metric_families(path.read_text()) for s in family.samples]
    return {(s.name, *(value for _, value in sorted(s.labels.items()))): s.value for s in samples}


@pytest.fixture
def client(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "redis.Redis":
    """A replay at CLOCK; MLflow is away."""
    given = {"REDIS_URL": redis_url, "PLATFORM_HOME": str(tmp_path), "EVENT_CLOCK": "replay"}
    given["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for name in ("FEATURES_REDIS_URL", "REPORTS_PATH"):
        monkeypatch.delenv(name, raising=False)
    client = redis.Redis.from_url(redis_url)
    RolloutStore(client).advance_clock(CLOCK)
    return client


def tick(instance: dg.DagsterInstance, home: Path) -> tuple[Samples, Samples]:
    context = dg.build_sensor_context(instance=instance, repository_def=DEFS.get_repository_def())
    told = export_gauges(context)
    folder = home / "reports" / "prometheus"
    assert isinstance(told, dg.SkipReason)
    assert str(folder) in str(told.skip_message)
    return read(folder / "dagster.prom.txt"), read(folder / "platform.prom.txt")


def test_runs_assets_and_checks_are_those_of_the_instance(client: "redis.Redis", tmp_path: Path) -> None:
    job = DEFS.resolve_job_def("fill")
    began = time.time()
    with dg.instance_for_test() as instance:
        job.execute_in_process(instance=instance)
        job.execute_in_process(instance=instance, tags={"empty": "yes"})
        job.execute_in_process(instance=instance, tags={"breaks": "yes"}, raise_on_error=False)
        instance.create_run_for_job(job)
        found, _ = tick(instance, tmp_path)
        job.execute_in_process(instance=instance)
        mended, _ = tick(instance, tmp_path)
    assert [found["dagster_runs_24h", "fill", status] for status in ("success", "failure", "canceled")] == [2, 1, 0]
    assert found["dagster_runs_24h", "assets", "failure"] == 0, "a job without runs has its zeros"
    assert ("dagster_job_failed", "assets") not in found, "nothing to say of what never ran"
    assert (found["dagster_job_failed", "fill"], mended["dagster_job_failed", "fill"]) == (1, 0)
    assert found["dagster_runs_under_way", "queued"] == 1
    assert found["dagster_runs_under_way", "started"] == 0
    assert 0 < found["dagster_oldest_queued_seconds",] < 60
    assert found["dagster_asset_check_passed", "table", "rows_are_there"] == 0
    assert mended["dagster_asset_check_passed", "table", "rows_are_there"] == 1
    assert began < found["dagster_asset_materialized_timestamp_seconds", "table"] < time.time()
    assert ("dagster_asset_materialized_timestamp_seconds", "never_made") not in found
    assert began < found["dagster_look_timestamp_seconds",] < time.time()


def test_the_platform_is_told_as_it_stands(client: "redis.Redis", tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        _, before = tick(instance, tmp_path)
        arm = Arm(model="m", version="1", triton_model="m_v1", contract_digest="d")
        RolloutStore(client).write(first_state(arm, actor="a", reason="r", now=CLOCK), None)
        client.xadd(keys.PREDICTIONS, {"batch": "b"})
        _, after = tick(instance, tmp_path)
    assert not [name for name, *_ in before if name.startswith("rollout_")], "nothing is served yet"
    assert after["event_clock_timestamp_seconds",] == CLOCK.timestamp()
    assert after["predictions_waiting_batches",] == 1
    assert after["rollout_phase", "stable"] == 1
    assert after["rollout_gateways", "current"] == 0
    assert after["mlflow_up",] == 0
    for store in ("control", "online"):
        assert after["redis_up", store] == 1
        assert after["redis_memory_used_bytes", store] > 100_000
        assert after["redis_keys", store] == client.dbsize()
        assert after["redis_aof_ok", store] == 0, "this Redis keeps no append-only file"


def test_what_alerts_rest_on_is_written(client: "redis.Redis", tmp_path: Path) -> None:
    """By name and label."""
    with dg.instance_for_test() as instance:
        DEFS.resolve_job_def("fill").execute_in_process(instance=instance)
        tick(instance, tmp_path)
    folder = tmp_path / "reports" / "prometheus"
    written = "".join((folder / name).read_text() for name in ("dagster.prom.txt", "platform.prom.txt"))
    listed = labels_by_name(SENSOR.read_text())
    assert len(listed) > 5
    assert {name: labels_by_name(written).get(name) for name in listed} == listed


def test_a_replay_that_has_not_set_the_clock_has_none(client: "redis.Redis", tmp_path: Path) -> None:
    client.delete(keys.CLOCK)
    with dg.DagsterInstance.ephemeral() as instance:
        _, platform = tick(instance, tmp_path)
    assert ("event_clock_timestamp_seconds",) not in platform
    assert platform["redis_up", "control"] == 1


def test_a_redis_that_is_away_is_told_and_dagster_all_the_same(
    client: "redis.Redis", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with dg.DagsterInstance.ephemeral() as instance:
        runs, platform = tick(instance, tmp_path)
    assert ("dagster_runs_under_way", "queued") in runs
    assert platform["redis_up", "control"] == platform["redis_up", "online"] == 0
    assert {name for name, *_ in platform} == {"platform_look_timestamp_seconds", "mlflow_up", "redis_up"}


def test_of_a_cluster_the_primaries_are_summed(
    client: "redis.Redis", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_cluster(tmp_path) as nodes:
        address = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        monkeypatch.setenv("FEATURES_REDIS_URL", address)
        online = online_client(address)
        for n in range(30):
            online.set(f"key {n}", n)
        write_gauges(path := tmp_path / "p.prom.txt", platform_gauges(Settings.load(), CLOCK))
        memory = sum(float(redis.Redis(port=node.port).info()["used_memory"]) for node in nodes)
    found = read(path)
    assert found["redis_keys", "online"] == 30
    assert found["redis_memory_used_bytes", "online"] == pytest.approx(memory, rel=0.2)
    assert found["redis_memory_used_bytes", "control"] < memory / 2
