"""A failed run becomes a notice."""

from datetime import UTC, datetime

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from orchestration.notices.send import send
from orchestration.notices.wording import FailedCheck, FailedRun, failed_run
from orchestration.settings import Settings


@dg.run_failure_sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    monitor_all_code_locations=True,  # a run from the shell belongs to none
    description="A failed run becomes a notice with its step, its error and what its failed checks found.",
)
def notify_failed_run(context: dg.RunFailureSensorContext) -> None:
    """Runs that failed since the sensor first looked, each once."""
    settings = Settings.load()
    send(failed_run(describe(context, f"{settings.dagster_url}/runs/{context.dagster_run.run_id}")), settings)


def describe(context: dg.RunFailureSensorContext, url: str) -> FailedRun:
    """The failed run in plain words."""
    failures = context.get_step_failure_events()
    step, error = "", context.failure_event.message or "it failed without a word"
    if failures:
        step = failures[0].step_key or ""
        error = _innermost(failures[0].step_failure_data.error) or error
    hooks = _hook_errors(context)
    job = context.dagster_run.job_name
    if job.startswith("__"):  # assets were selected by hand
        job = step or "assets"
    return FailedRun(job, url, step, error, _failed_checks(context), datetime.now(UTC), hooks)


def _innermost(error: SerializableErrorInfo | None) -> str:
    """The innermost cause says most."""
    message = ""
    while error is not None:
        message, error = error.message.strip(), error.cause
    return message


def _hook_errors(context: dg.RunFailureSensorContext) -> tuple[str, ...]:
    records = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.HOOK_ERRORED
    ).records
    events = [record.event_log_entry.dagster_event for record in records]
    return tuple(f"on {e.step_key} failed: {_innermost(e.hook_errored_data.error)}" for e in events if e is not None)


def _failed_checks(context: dg.RunFailureSensorContext) -> tuple[FailedCheck, ...]:
    records = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    events = [record.event_log_entry.dagster_event for record in records]
    found = [event.asset_check_evaluation_data for event in events if event is not None]
    return tuple(
        FailedCheck(
            check.asset_key.to_user_string(),
            check.check_name,
            {label: str(value.value) for label, value in check.metadata.items()},
        )
        for check in found
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    )
