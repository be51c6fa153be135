"""What schedules and sensors share: the event clock, the stored days, runs under way, and skipping with a reason."""

import functools
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import dagster as dg
import redis

from orchestration import event_clock
from orchestration.defs.common import DAILY
from orchestration.features.chain import days_of
from orchestration.settings import Settings
from orchestration.timetable import NotDueError
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore

# Runs that a sensor requests for the same thing before it leaves the matter to a person.
ATTEMPTS = 3
Evaluation = Callable[[Any], Any]
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def or_skip(evaluate: Evaluation) -> Evaluation:
    """Turn "nothing to do" and "Redis is away" into a skip reason; the next tick looks again."""

    @functools.wraps(evaluate)
    def skipping(context: Any) -> Any:
        try:
            return evaluate(context)
        except NotDueError as reason:
            return dg.SkipReason(str(reason))
        except redis.RedisError as error:
            return dg.SkipReason(f"Redis does not answer, start it or mend REDIS_URL: {error}")

    return skipping


def store() -> RolloutStore:
    """The rollout store."""
    return RolloutStore.connect(Settings.load().redis_url)


def event_now() -> datetime:
    """The event clock. Raises redis.RedisError."""
    return event_clock.event_now(Settings.load(), store())


def waiting_predictions() -> int:
    """Batches in the prediction stream that are not in Parquet yet. Raises redis.RedisError."""
    client = redis.Redis.from_url(Settings.load().redis_url, socket_timeout=2, socket_connect_timeout=2)
    return int(client.xlen(keys.PREDICTIONS))


def known_days() -> set[date]:
    """The days that the source can have."""
    return {date.fromisoformat(key) for key in DAILY.get_partition_keys()}


def stored_days(*assets: str) -> set[date]:
    """The days that every one of the daily `assets` has in the lake.

    Dagster's log would name removed days too: its storage cannot forget a partition.
    """
    lake = Settings.load().lake
    return set.intersection(*(days_of(lake, asset) for asset in assets))


def require_idle(instance: dg.DagsterInstance, *jobs: str) -> None:
    """Raise NotDueError while a run of one of `jobs` is queued or under way."""
    for job in jobs:
        runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNDER_WAY), limit=1)
        if runs:
            raise NotDueError(f"run {runs[0].run_id[:8]} of {job} is under way")


def require_new(instance: dg.DagsterInstance, job: str, run_key: str) -> None:
    """Raise NotDueError where a run of `job` with this key has succeeded or is under way; a failed one may be repeated.

    Dagster compares a schedule's run keys within one tick only (dagster/_scheduler/scheduler.py,
    `_get_existing_run_for_request`).
    """
    statuses = [dg.DagsterRunStatus.SUCCESS, *_UNDER_WAY]
    runs = instance.get_runs(dg.RunsFilter(job_name=job, tags={"dagster/run_key": run_key}, statuses=statuses), limit=1)
    if runs:
        raise NotDueError(f"run {runs[0].run_id[:8]} of {job} has done {run_key} or is about to")


def next_attempt(instance: dg.DagsterInstance, job: str, tags: dict[str, str]) -> int:
    """Number of the next run of `job` for what `tags` name, from 1. Raises NotDueError after ATTEMPTS of them.

    It belongs into a sensor's run key: Dagster never launches a key again, however its run ended.
    """
    runs = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags))
    if len(runs) >= ATTEMPTS:
        what = ", ".join(f"{name} {value}" for name, value in tags.items())
        raise NotDueError(
            f"{job} has been run {len(runs)} times for {what}, last as {runs[0].run_id[:8]}: mend what that run says, "
            f"then launch {job} for it by hand"
        )
    return len(runs) + 1


def came_to_nothing(instance: dg.DagsterInstance, job: str, tags: dict[str, str]) -> bool:
    """Whether runs of `job` for what `tags` name have ended, none of them well."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags))
    return bool(runs) and all(run.is_finished and not run.is_success for run in runs)
