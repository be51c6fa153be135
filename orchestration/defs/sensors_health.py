"""The sensor on the model's health: a model that has left the world asks for a challenger."""

from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.defs.due import came_to_nothing, next_attempt, or_skip, require_idle, stored_days
from orchestration.settings import Settings
from orchestration.timetable import NotDueError, training_windows
from orchestration.training.recipes import RecipeName

HEALTH_CHECK = dg.AssetCheckKey(dg.AssetKey("model_health"), "model_is_healthy")
AS_OF_TAG = "health/as_of"
# Evaluations that are looked back on for the latest one with our metadata.
LOOK_BACK = 20
# How a challenger that nobody asked for by hand is trained.
RECIPE = RecipeName.lightgbm
_COMPLETED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


@dg.sensor(
    job_name="train_challenger",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Two bad windows running ask for a challenger, not too often. Drift of the inputs alone asks for none.",
)
@or_skip
def retrain_on_drift(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """The cursor holds the event time of the verdict that last asked; reset it in the UI to ask again at once.

    A challenger that was asked for and came to nothing is asked for again without waiting.
    """
    from orchestration.health.policy import HealthPolicyError, read_health_policy
    from orchestration.health.verdict import HealthVerdict, retraining_due

    as_of, reason = _standing_verdict(context.instance)
    try:
        policy = read_health_policy(Settings.load().health_policy).retraining
    except HealthPolicyError as error:
        raise NotDueError(str(error)) from error
    require_idle(context.instance, "train_challenger")
    last = datetime.fromisoformat(context.cursor) if context.cursor else None
    if context.cursor and came_to_nothing(context.instance, "train_challenger", {AS_OF_TAG: context.cursor}):
        last = None
    asked = retraining_due(HealthVerdict("bad", reason, None), policy, now=as_of, last=last)
    if not asked.due:
        raise NotDueError(asked.reason)
    windows = training_windows(as_of, stored_days("training_rows"))
    tags = {AS_OF_TAG: as_of.isoformat()}
    attempt = next_attempt(context.instance, "train_challenger", tags)
    config: dict[str, Any] = {**windows.config, "recipe": RECIPE.name}
    request = dg.RunRequest(
        run_key=f"health:{as_of.isoformat()}:{attempt}",
        run_config={"ops": {"challenger_model": {"config": config}}},
        tags=tags,
    )
    return dg.SensorResult(run_requests=[request], cursor=as_of.isoformat())


def _standing_verdict(instance: dg.DagsterInstance) -> tuple[datetime, str]:
    """Event time and reason of the latest verdict, where it is bad. Raises NotDueError."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        HEALTH_CHECK, limit=LOOK_BACK, status=_COMPLETED
    )
    for record in records:
        found = _read_back(record)
        if found is not None:
            as_of, outcome, reason = found
            if outcome == "bad":
                return as_of, reason
            raise NotDueError(f"the model's health as of {as_of:%Y-%m-%d %H:%M} is {outcome}: {reason}")
    raise NotDueError("nobody has looked at the model's health yet: run judge_health")


def _read_back(record: AssetCheckExecutionRecord) -> tuple[datetime, str, str] | None:
    """Event time, outcome and reason of an evaluation; None where somebody else reported it."""
    metadata = record.evaluation.metadata if record.evaluation else {}
    try:
        as_of, outcome, reason = (str(metadata[name].value) for name in ("as_of", "outcome", "reason"))
        return datetime.fromisoformat(as_of), outcome, reason
    except (KeyError, ValueError):
        return None
