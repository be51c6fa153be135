"""Sensors on the data: days that event time has completed, and drift that asks for a challenger."""

from datetime import datetime

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from orchestration.defs.due import event_now, known_days, or_skip, require_idle, stored_days
from orchestration.timetable import NotDueError, missing_days, require_patience, training_windows

DRIFT_CHECK = dg.AssetCheckKey(dg.AssetKey("drift_report"), "inputs_have_not_drifted")


@dg.sensor(
    job_name="ingest_and_compute",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Days that event time has completed since the newest stored one are ingested, as one range.",
)
@or_skip
def ingest_completed_days(context: dg.SensorEvaluationContext) -> dg.RunRequest:
    """What the schedule missed while something was down, and what a replay completes."""
    first, last = missing_days(event_now(), known_days(), stored_days(context.instance, "raw_flights"))
    require_idle(context.instance, "ingest_and_compute", "compute_day")
    tags = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    return dg.RunRequest(run_key=f"{first}:{last}", tags=tags)


@dg.sensor(
    job_name="train_challenger",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="A failed drift check asks for a challenger, once in four weeks of event time. Off: most weeks drift.",
)
@or_skip
def retrain_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The cursor holds the event time of the drift that last asked; reset it in the UI to ask again at once."""
    as_of = _last_drift(context.instance)
    require_patience(as_of, datetime.fromisoformat(context.cursor) if context.cursor else None)
    windows = training_windows(as_of, stored_days(context.instance, "training_rows"))
    require_idle(context.instance, "train_challenger")
    request = dg.RunRequest(
        run_key=f"drift:{as_of.isoformat()}",
        run_config={"ops": {"challenger_model": {"config": windows.config}}},
        tags={"drift/as_of": as_of.isoformat()},
    )
    return dg.SensorResult(run_requests=[request], cursor=as_of.isoformat())


def _last_drift(instance: dg.DagsterInstance) -> datetime:
    """Event time of the latest evaluation that found drift. Raises NotDueError."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        DRIFT_CHECK, limit=1, status={AssetCheckExecutionRecordStatus.FAILED}
    )
    event = records[0].event.dagster_event if records and records[0].event else None
    if event is None:
        raise NotDueError("no drift report has found drift")
    return datetime.fromisoformat(str(event.asset_check_evaluation_data.metadata["as_of"].value))
