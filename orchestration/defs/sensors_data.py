"""Sensors on the data: days that event time has completed, and drift that asks for a challenger."""

from datetime import datetime

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.defs.common import DAILY_ASSETS
from orchestration.defs.due import (
    came_to_nothing,
    event_now,
    known_days,
    next_attempt,
    or_skip,
    require_idle,
    stored_days,
)
from orchestration.timetable import NotDueError, missing_days, require_patience, training_windows

DRIFT_CHECK = dg.AssetCheckKey(dg.AssetKey("drift_report"), "inputs_have_not_drifted")
DAYS_TAG = "drift/days"
AS_OF_TAG = "drift/as_of"
# Evaluations that are looked back on for the latest one with our metadata.
LOOK_BACK = 20
_COMPLETED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


@dg.sensor(
    job_name="ingest_and_compute",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Days that event time has completed since the newest stored one are ingested, as one range.",
)
@or_skip
def ingest_completed_days(context: dg.SensorEvaluationContext) -> dg.RunRequest:
    """What the schedule missed while something was down, and what a replay completes.

    A range whose run died half-way is asked for again, a few times.
    """
    first, last = missing_days(event_now(), known_days(), stored_days(*DAILY_ASSETS))
    require_idle(context.instance, "ingest_and_compute", "compute_day")
    days = {DAYS_TAG: f"{first}:{last}"}
    attempt = next_attempt(context.instance, "ingest_and_compute", days)
    tags = days | {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }
    return dg.RunRequest(run_key=f"{first}:{last}:{attempt}", tags=tags)


@dg.sensor(
    job_name="train_challenger",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="A failed drift check asks for a challenger, once in four weeks of event time. Off: most weeks drift.",
)
@or_skip
def retrain_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The cursor holds the event time of the drift that last asked; reset it in the UI to ask again at once.

    A challenger that was asked for and came to nothing is asked for again without that wait.
    """
    as_of = _standing_drift(context.instance)
    require_idle(context.instance, "train_challenger")
    if context.cursor and not came_to_nothing(context.instance, "train_challenger", {AS_OF_TAG: context.cursor}):
        require_patience(as_of, datetime.fromisoformat(context.cursor))
    windows = training_windows(as_of, stored_days("training_rows"))
    tags = {AS_OF_TAG: as_of.isoformat()}
    attempt = next_attempt(context.instance, "train_challenger", tags)
    request = dg.RunRequest(
        run_key=f"drift:{as_of.isoformat()}:{attempt}",
        run_config={"ops": {"challenger_model": {"config": windows.config}}},
        tags=tags,
    )
    return dg.SensorResult(run_requests=[request], cursor=as_of.isoformat())


def _standing_drift(instance: dg.DagsterInstance) -> datetime:
    """Event time of the latest report, where it found drift. Raises NotDueError."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        DRIFT_CHECK, limit=LOOK_BACK, status=_COMPLETED
    )
    for record in records:
        as_of = _as_of(record)
        if as_of is not None:
            if record.status == AssetCheckExecutionRecordStatus.FAILED:
                return as_of
            raise NotDueError(f"the latest drift report, as of {as_of:%Y-%m-%d %H:%M}, has found no drift")
    raise NotDueError("there is no drift report yet")


def _as_of(record: AssetCheckExecutionRecord) -> datetime | None:
    """The event time that an evaluation names; None where somebody else reported it."""
    metadata = record.evaluation.metadata if record.evaluation else {}
    try:
        return datetime.fromisoformat(str(metadata["as_of"].value))
    except (KeyError, ValueError):
        return None
