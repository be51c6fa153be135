"""`python -m orchestration.replay`: replay days against a running platform."""

import argparse
import sys
from datetime import date

import redis
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.features.layout import read_layouts
from orchestration.features.online import OnlineWriter
from orchestration.features.store import online_client
from orchestration.features.views import PROJECT
from orchestration.ingestion.partitions import MissingPartitionError
from orchestration.replay.client import Replay
from orchestration.replay.timeline import timeline
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def main() -> int:
    """Exit 0 when every request was answered, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.replay",
        description="Replay days in event time: each minute's features go to Redis, then its requests to the gateway.",
        epilog="Materialize `online_store` for the first day beforehand (with empty_first when going back in time).",
    )
    parser.add_argument("start", type=date.fromisoformat, help="first day, YYYY-MM-DD")
    parser.add_argument("end", type=date.fromisoformat, help="day after the last")
    parser.add_argument(
        "--minutes-per-second", type=float, help="pace in event minutes (default: as fast as answers come)"
    )
    arguments = parser.parse_args()
    settings = Settings.load()
    client = redis.Redis.from_url(settings.redis_url)
    try:
        minutes = list(timeline(settings.lake / "features", settings.lake / "training", arguments.start, arguments.end))
        writer = OnlineWriter(
            online_client(settings.features_redis_url), PROJECT, read_layouts(settings.feature_layout)
        )
    except (MissingPartitionError, FileNotFoundError) as error:
        sys.exit(f"cannot replay: {error}")
    replay = Replay(settings.gateway_url, RolloutStore(client), writer)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("event minutes", total=len(minutes))
        tally = replay.run(
            minutes, after_minute=lambda _: progress.advance(task), minutes_per_second=arguments.minutes_per_second
        )
    print(
        f"{tally.requests} requests, {sum(tally.errors.values())} errors, by arm {dict(tally.by_arm)}, p50 {tally.p50_us:.0f} µs"
    )
    for what, count in tally.errors.most_common(5):
        print(f"  {count} x {what}")
    return 1 if tally.errors else 0


if __name__ == "__main__":
    sys.exit(main())
