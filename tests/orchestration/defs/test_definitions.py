"""The code location loads, and a blocking check blocks."""

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from orchestration.definitions import defs as load
from orchestration.ingestion.ingest import ingest_flights
from orchestration.ingestion.partitions import partition_path, read_partitions

DAY = date(2013, 1, 15)


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return load().get_repository_def()


def test_every_asset_job_and_sensor_is_there(repository: dg.RepositoryDefinition) -> None:
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert keys == {
        "raw_flights", "raw_weather", "feature_views", "training_rows", "feature_registry", "online_store",
        "champion_model", "champion_on_triton", "challenger_model", "challenger_on_triton",
        "baseline_arm", "canary_arm", "prediction_log", "canary_verdict", "drift_report",
    }  # fmt: skip
    jobs = {job.name for job in repository.get_all_jobs()} - {"__ASSET_JOB"}
    assert jobs == {
        "ingest_and_compute", "train_champion", "try_challenger", "materialize_online", "judge_canary", "report_drift",
        "rollback",
    }  # fmt: skip
    (sensor,) = repository.sensor_defs
    assert (sensor.name, sensor.default_status) == ("rollback_on_failed_verdict", dg.DefaultSensorStatus.RUNNING)


def test_every_asset_says_what_it_is_and_whose(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name != "default", key


def test_a_corrupted_day_fails_its_check_and_stops_what_depends_on_it(
    repository: dg.RepositoryDefinition, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))

    def corrupted(folder: Path, start: date, end: date) -> int:
        rows = ingest_flights(folder, start, end)
        broken = read_partitions(folder, start, end).with_columns(origin=pl.lit("XXX"))
        broken.write_parquet(partition_path(folder, start))
        return rows

    monkeypatch.setattr("orchestration.defs.ingestion.ingest_flights", corrupted)
    instance = dg.DagsterInstance.ephemeral()
    job = load().resolve_job_def("ingest_and_compute")
    result = job.execute_in_process(instance=instance, partition_key=DAY.isoformat(), raise_on_error=False)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert not check.passed
    assert "origin" in str(check.metadata["broken"].value)
    materialized = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert "feature_views" not in materialized
    assert not partition_path(tmp_path / "lake" / "training", DAY).exists()


def test_day_ranges_are_checked() -> None:
    from orchestration.defs.common import parse_days

    assert parse_days("2013-01-01", "2013-01-03") == (date(2013, 1, 1), date(2013, 1, 1) + timedelta(days=2))
    with pytest.raises(dg.Failure, match="YYYY-MM-DD"):
        parse_days("January", "2013-01-03")
    with pytest.raises(dg.Failure, match="holds no day"):
        parse_days("2013-01-03", "2013-01-03")
