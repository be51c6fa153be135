"""What schedules and sensors share: the event clock, the stored days, runs under way, and skipping with a reason."""

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import redis

from orchestration.defs.common import DAILY
from orchestration.settings import Settings
from orchestration.timetable import NotDueError
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore

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
    """The event clock, or the wall clock where nothing drives it. Raises redis.RedisError."""
    return store().event_time() or datetime.now(UTC)


def waiting_predictions() -> int:
    """Batches in the prediction stream that are not in Parquet yet. Raises redis.RedisError."""
    client = redis.Redis.from_url(Settings.load().redis_url, socket_timeout=2, socket_connect_timeout=2)
    return int(client.xlen(keys.PREDICTIONS))


def known_days() -> set[date]:
    """The days that the source can have."""
    return {date.fromisoformat(key) for key in DAILY.get_partition_keys()}


def stored_days(instance: dg.DagsterInstance, asset: str) -> set[date]:
    """The days of a daily asset that are materialized."""
    return {date.fromisoformat(key) for key in instance.get_materialized_partitions(dg.AssetKey(asset))}


def require_idle(instance: dg.DagsterInstance, *jobs: str) -> None:
    """Raise NotDueError while a run of one of `jobs` is queued or under way."""
    for job in jobs:
        runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=_UNDER_WAY), limit=1)
        if runs:
            raise NotDueError(f"run {runs[0].run_id[:8]} of {job} is under way")
