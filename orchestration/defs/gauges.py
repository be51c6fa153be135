"""Dagster's runs, assets and checks, and the rest of the platform, as gauges for Prometheus: written anew by each tick."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from orchestration.gauges import FOLDER, Gauge, write_gauges
from orchestration.platform_gauges import FILE as PLATFORM_FILE
from orchestration.platform_gauges import platform_gauges
from orchestration.settings import Settings

DAGSTER_FILE = "dagster.prom.txt"
BY_HAND = "assets"
_DAY = timedelta(days=1)
_ENDED = {
    "success": dg.DagsterRunStatus.SUCCESS,
    "failure": dg.DagsterRunStatus.FAILURE,
    "canceled": dg.DagsterRunStatus.CANCELED,
}
_UNDER_WAY = {
    "queued": [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED],
    "started": [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING],
}


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs, assets, checks, the rollout, Redis and MLflow as gauges for Prometheus, in REPORTS_PATH/prometheus.",
)
def export_gauges(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Never asks for a run. Figures that grow old say that the daemon does not tick."""
    repository = context.repository_def
    assert repository is not None
    settings, now = Settings.load(), datetime.now(UTC)
    folder = settings.reports / FOLDER
    write_gauges(folder / DAGSTER_FILE, dagster_gauges(context.instance, repository, now))
    write_gauges(folder / PLATFORM_FILE, platform_gauges(settings, now))
    return dg.SkipReason(f"the gauges of {now:%F %T} UTC are in {folder}")


def dagster_gauges(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, now: datetime) -> list[Gauge]:
    """What Dagster's storage says at `now` (UTC) of the definitions in `repository`; times in UNIX seconds."""
    jobs = [job.name for job in repository.get_all_jobs()]
    return [
        Gauge("dagster_look_timestamp_seconds", {}, now.timestamp(), "When Dagster's storage was last looked at"),
        *_of_jobs(instance, jobs, now),
        *_under_way(instance, now),
        *_of_assets(instance, sorted(repository.asset_graph.get_all_asset_keys())),
        *_of_checks(instance, sorted(repository.asset_graph.asset_check_keys)),
    ]


def _of_jobs(instance: dg.DagsterInstance, jobs: Sequence[str], now: datetime) -> Iterator[Gauge]:
    for said, status in _ENDED.items():
        any_ended = bool(_ended(instance, status, now))  # hardly ever of failures: then no job has to be asked for
        for job in jobs:
            count = _ended(instance, status, now, job) if any_ended else 0
            yield Gauge("dagster_runs_24h", {"job": _shown(job), "status": said}, count, "Runs that ended within a day")
    judged = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    for job in jobs:
        for run in instance.get_runs(dg.RunsFilter(job_name=job, statuses=judged), limit=1):
            failed = not run.is_success
            yield Gauge("dagster_job_failed", {"job": _shown(job)}, failed, "1 where the job's newest run failed")


def _ended(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, now: datetime, job: str | None = None) -> int:
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=[status], updated_after=now - _DAY))


def _shown(job: str) -> str:
    """Dagster's own job, for assets that were selected by hand, has a name that nobody would look for."""
    return BY_HAND if job.startswith("__") else job


def _under_way(instance: dg.DagsterInstance, now: datetime) -> Iterator[Gauge]:
    for said, statuses in _UNDER_WAY.items():
        count = instance.get_runs_count(dg.RunsFilter(statuses=statuses))
        yield Gauge("dagster_runs_under_way", {"status": said}, count, "Runs that have not ended")
    oldest = instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY["queued"]), limit=1, ascending=True)
    waited = max((now.timestamp() - record.create_timestamp.timestamp() for record in oldest), default=0.0)
    yield Gauge("dagster_oldest_queued_seconds", {}, waited, "How long the first queued run has waited")


def _of_assets(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> Iterator[Gauge]:
    for record in instance.get_asset_records(keys):
        newest = record.asset_entry.last_materialization
        if newest is not None:
            of = {"asset": record.asset_entry.asset_key.to_user_string()}
            said = "When the asset was last materialized"
            yield Gauge("dagster_asset_materialized_timestamp_seconds", of, newest.timestamp, said)


def _of_checks(instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]) -> Iterator[Gauge]:
    for key, summary in instance.event_log_storage.get_asset_check_summary_records(keys).items():
        newest = summary.last_completed_check_execution_record
        if newest is not None:
            of = {"asset": key.asset_key.to_user_string(), "check": key.name}
            passed = newest.status == AssetCheckExecutionRecordStatus.SUCCEEDED
            yield Gauge("dagster_asset_check_passed", of, passed, "1 where the check's newest evaluation passed")
