"""The code location loads."""

from datetime import date, timedelta

import dagster as dg
import pytest

from orchestration.definitions import defs as load


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


def test_day_ranges_are_checked() -> None:
    from orchestration.defs.common import parse_days

    assert parse_days("2013-01-01", "2013-01-03") == (date(2013, 1, 1), date(2013, 1, 1) + timedelta(days=2))
    with pytest.raises(dg.Failure, match="YYYY-MM-DD"):
        parse_days("January", "2013-01-03")
    with pytest.raises(dg.Failure, match="holds no day"):
        parse_days("2013-01-03", "2013-01-03")
