"""`python -m orchestration.replay`: replay days against a running platform."""

import argparse
import sys
from collections.abc import Callable
from datetime import date

import redis
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.features.store import online_client
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.replay.client import Replay, Tally
from orchestration.replay.feed import Feed, NotAppliedError
from orchestration.replay.timeline import Minute, timeline
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def main() -> int:
    """Exit 0 when every request was answered, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.replay",
        description="Replay days in event time: what happened in a minute goes to the updater, then its requests to the gateway.",
        epilog="Materialize `online_store` for the first day beforehand (with rewind when going back in time).",
    )
    parser.add_argument("start", type=date.fromisoformat, help="first day, YYYY-MM-DD")
    parser.add_argument("end", type=date.fromisoformat, help="day after the last")
    parser.add_argument(
        "--minutes-per-second", type=float, help="pace in event minutes (default: as fast as answers come)"
    )
    arguments = parser.parse_args()
    try:
        settings = Settings.load()
        client = _at("REDIS_URL", settings.redis_url, redis.Redis.from_url)
        online = _at("FEATURES_REDIS_URL", settings.features_redis_url, online_client)
    except (ValueError, redis.RedisError) as error:  # the message names the setting
        sys.exit(f"cannot replay: {error}")
    try:
        minutes = list(timeline(settings.lake, arguments.start, arguments.end))
        feed = Feed(client, online)
        feed.require_before(minutes[0].at)
        tally = _replay(Replay(settings.gateway_url, RolloutStore(client), feed), minutes, arguments.minutes_per_second)
    except (MissingPartitionError, NotAppliedError, redis.RedisError) as error:
        sys.exit(f"cannot replay: {error}")
    print(
        f"{tally.requests} requests, {sum(tally.errors.values())} errors, by arm {dict(tally.by_arm)}, p50 {tally.p50_us:.0f} µs"
    )
    for what, count in tally.errors.most_common(5):
        print(f"  {count} x {what}")
    return 1 if tally.errors else 0


def _at(setting: str, url: str, connect: Callable[[str], "redis.Redis"]) -> "redis.Redis":
    """A client of the address. Raises ValueError naming the setting where it is none."""
    try:
        return connect(url)
    except ValueError as error:
        raise ValueError(f"{setting}: {error}") from error


def _replay(replay: Replay, minutes: list[Minute], minutes_per_second: float | None) -> Tally:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("event minutes", total=len(minutes))
        return replay.run(minutes, after_minute=lambda _: progress.advance(task), minutes_per_second=minutes_per_second)


if __name__ == "__main__":
    sys.exit(main())
