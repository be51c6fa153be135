"""What happens by the clock on the wall. Which day is worked on, the event clock says."""

import dagster as dg
from dagster._utils.schedules import is_valid_cron_string

from orchestration.defs.due import (
    event_now,
    known_days,
    or_skip,
    require_idle,
    require_new,
    store,
    stored_days,
    waiting_predictions,
)
from orchestration.settings import Settings
from orchestration.timetable import DAY, NotDueError, completed_day, training_windows

RUNNING = dg.DefaultScheduleStatus.RUNNING
MONDAY, WEEK_HOURS = 0, 168
_SETTINGS = Settings.load()


def _cron(variable: str, text: str) -> str:
    """`text` where it is a cron expression. Raises ValueError naming the variable."""
    if not is_valid_cron_string(text):
        raise ValueError(f"{variable} must be a cron expression of five fields such as '30 1 * * *', got {text!r}")
    return text


def _require_served() -> None:
    if store().read() is None:
        raise NotDueError("nothing is served yet: run train_champion")


@dg.schedule(
    cron_schedule=_cron("CRON_FEATURES", _SETTINGS.cron_features),
    job_name="compute_day",
    default_status=RUNNING,
    description="Yesterday becomes features and training rows, and Redis is brought to today.",
)
@or_skip
def daily_features(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run a day of event time."""
    day = completed_day(event_now(), known_days())
    require_idle(context.instance, "compute_day", "ingest_and_compute")
    require_new(context.instance, "compute_day", day.isoformat())
    config = {"ops": {"online_store": {"config": {"as_of": (day + DAY).isoformat()}}}}
    return dg.RunRequest(run_key=day.isoformat(), partition_key=day.isoformat(), run_config=config)


@dg.schedule(
    cron_schedule=_cron("CRON_TRAINING", _SETTINGS.cron_training),
    job_name="train_challenger",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="A challenger by the calendar, drift or not. Off: the model's health asks for one when it is due.",
)
@or_skip
def weekly_challenger(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run for a hold-out's end: the same days are not trained on twice."""
    _require_served()
    windows = training_windows(event_now(), stored_days("training_rows"))
    require_idle(context.instance, "train_challenger")
    run_key = windows.holdout[1].isoformat()
    require_new(context.instance, "train_challenger", run_key)
    config = {"ops": {"challenger_model": {"config": windows.config}}}
    return dg.RunRequest(run_key=run_key, run_config=config)


@dg.schedule(
    cron_schedule=_cron("CRON_DRIFT", _SETTINGS.cron_drift),
    job_name="report_drift",
    default_status=RUNNING,
    description="The last day's requests, on Mondays the last week's too, against the training window of the baseline.",
)
@or_skip
def daily_drift_report(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | list[dg.RunRequest]:
    """One run for a stand of the event clock: a clock that rests has nothing new to compare."""
    _require_served()
    require_idle(context.instance, "report_drift")
    now = event_now()
    require_new(context.instance, "report_drift", now.isoformat())
    day = dg.RunRequest(run_key=now.isoformat())
    if now.weekday() != MONDAY:
        return day
    config = {"ops": {"drift_report": {"config": {"hours": WEEK_HOURS}}}}
    return [day, dg.RunRequest(run_key=f"{now.isoformat()}-week", run_config=config)]


@dg.schedule(
    cron_schedule=_cron("CRON_HEALTH", _SETTINGS.cron_health),
    job_name="judge_health",
    default_status=RUNNING,
    description="The answering model against its labels: two bad windows running ask for a new one.",
)
@or_skip
def daily_health(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run for a stand of the event clock: a clock that rests has no new labels."""
    _require_served()
    require_idle(context.instance, "judge_health")
    run_key = event_now().isoformat()
    require_new(context.instance, "judge_health", run_key)
    return dg.RunRequest(run_key=run_key)


@dg.schedule(
    cron_schedule=_cron("CRON_SKEW", _SETTINGS.cron_skew),
    job_name="check_skew",
    default_status=RUNNING,
    description="The newest day of requests with stored features, recomputed and compared with what was served.",
)
@or_skip
def daily_skew_check(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """One run for a stand of the event clock: a clock that rests has nothing new to compare."""
    _require_served()
    require_idle(context.instance, "check_skew")
    run_key = event_now().isoformat()
    require_new(context.instance, "check_skew", run_key)
    return dg.RunRequest(run_key=run_key)


@dg.schedule(
    cron_schedule=_cron("CRON_LANDING", _SETTINGS.cron_landing),
    job_name="land_predictions",
    default_status=RUNNING,
    description="The prediction log moves from Redis to Parquet.",
)
@or_skip
def log_landing(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """A run only where predictions wait: an idle platform starts none."""
    if not waiting_predictions():
        raise NotDueError("no prediction waits to be landed")
    require_idle(context.instance, "land_predictions")
    return dg.RunRequest()
