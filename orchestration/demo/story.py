"""The steps of the demo, each over the platform's own doors: Dagster's GraphQL, the gateway's HTTP, Redis."""

import time
from datetime import date
from statistics import quantiles
from typing import Any

import httpx
import redis

from orchestration.demo import plan
from orchestration.demo.dagster_runs import DagsterRuns, Run, entries
from orchestration.demo.narrator import Live, Narrator, StepFailedError
from orchestration.features.store import online_client
from orchestration.replay.client import Replay, Tally
from orchestration.replay.feed import Feed
from orchestration.replay.timeline import Minute, timeline
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore


class Story:
    """What the steps share: addresses, the runs client, the rollout store, the narrator."""

    def __init__(self, settings: Settings, narrator: Narrator) -> None:
        self.settings = settings
        self.narrator = narrator
        self.runs = DagsterRuns(settings.dagster_url)
        self.redis = redis.Redis.from_url(settings.redis_url)
        self.store = RolloutStore(self.redis)

    def succeed(
        self, live: Live, job: str, *, ops: dict[str, Any] | None = None, tags: dict[str, str] | None = None
    ) -> Run:
        """Launch `job`, wait, tell its address; raises StepFailedError when it failed."""
        run = self.finish(live, job, ops=ops, tags=tags)
        if run.status != "SUCCESS":
            raise StepFailedError(f"the run failed: {run.failure} ({run.url})")
        return run

    def finish(
        self, live: Live, job: str, *, ops: dict[str, Any] | None = None, tags: dict[str, str] | None = None
    ) -> Run:
        """Launch `job` and wait for its end, whatever it is."""
        live(f"Dagster runs {job}")
        run = self.runs.wait(self.runs.launch(job, ops=ops, tags=tags))
        self.narrator.tell(f"Dagster run: {run.url}")
        return run

    def replay(self) -> Replay:
        """A client in event time."""
        feed = Feed(self.redis, online_client(self.settings.features_redis_url))
        return Replay(self.settings.gateway_url, self.store, feed)

    def minutes(self, day: date) -> list[Minute]:
        """The minutes of one day of flights."""
        return list(timeline(self.settings.lake, day, day + plan.DAY))


def ingest(story: Story, live: Live) -> None:
    """Raw flights and weather to features and training rows, one run for the whole range."""
    first, end = plan.INGEST
    tags = {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": (end - plan.DAY).isoformat(),
    }
    run = story.succeed(live, "ingest_and_compute", tags=tags)
    check = run.check("flights_valid")
    if check is None or not check["success"]:
        raise StepFailedError("the Great Expectations check on raw_flights did not pass")
    checked = entries(check["metadataEntries"])
    rows = {a: run.metadata(a)["rows in this run"] for a in ("raw_flights", "feature_views", "training_rows")}
    story.narrator.tell(
        f"{(end - first).days} days: {rows['raw_flights']:,} flights passed {checked['expectations']} expectations; "
        f"{rows['feature_views']:,} feature rows; {rows['training_rows']:,} training rows "
        "of 26 features, each as it stood 60 minutes before its flight"
    )


def train_champion(story: Story, live: Live) -> None:
    """The champion: trained, exported, registered, published, serving."""
    ops = {"champion_model": training_config(plan.TRAIN, plan.HOLDOUT, "lightgbm")}
    run = story.succeed(live, "train_champion", ops=ops)
    made = run.metadata("champion_model")
    story.narrator.figures["april_auc"] = made["holdout AUC"]
    story.narrator.tell(
        f"LightGBM on {made['training rows']:,} flights of January to March; April AUC {made['holdout AUC']:.4f}, "
        f"log-loss {made['holdout log-loss']:.4f}, every gate passed; ONNX differs from the trainer by at most "
        f"{made['ONNX parity']:.1e}"
    )
    story.narrator.tell(f"MLflow run: {made['MLflow run']}")
    story.narrator.tell(f"Triton serves {run.metadata('champion_on_triton')['Triton model']}; it answers everything")
    wait_served(story, story.store.read())


def train_challenger(story: Story, live: Live) -> None:
    """A neural network on the same days: judged as the champion was, published, and left without traffic."""
    ops = {"challenger_model": training_config(plan.TRAIN, plan.HOLDOUT, "network")}
    run = story.succeed(live, "train_challenger", ops=ops)
    made = run.metadata("challenger_model")
    story.narrator.tell(
        f"A neural network on the same flights: April AUC {made['holdout AUC']:.4f}, log-loss "
        f"{made['holdout log-loss']:.4f}, every gate passed; the champion's AUC was {story.narrator.figures['april_auc']:.4f}"
    )
    story.narrator.tell(
        f"Triton serves {run.metadata('challenger_on_triton')['Triton model']} beside the champion; nobody asks it yet"
    )


def materialize(story: Story, live: Live) -> None:
    """Feast brings Redis to the first day that will be replayed."""
    ops = {"online_store": {"as_of": plan.BASELINE_DAY.isoformat(), "rewind": True}}
    run = story.succeed(live, "materialize_online", ops=ops)
    made = run.metadata("online_store")
    story.narrator.tell(
        f"feast apply and feast materialize: {made['keys in Redis']:,} keys in Redis as of {made['as of']}"
    )


def serve_a_day(story: Story, live: Live) -> None:
    """Yesterday's flights as today's traffic, answered by the baseline."""
    replay, minutes = story.replay(), story.minutes(plan.BASELINE_DAY)
    began = time.monotonic()
    tally = replay.run(minutes, after_minute=show(replay, live))
    seconds = time.monotonic() - began
    require_no_errors(tally)
    events, p95_s = sum(len(minute.events) for minute in minutes), quantiles(replay.feed.waits_s, n=20)[-1]
    story.narrator.figures["event_to_readable_p95_ms"] = round(p95_s * 1000, 1)
    story.narrator.tell(
        f"{events:,} events through the Redis Stream, from departures to weather; 95 of 100 could be read "
        f"{p95_s * 1000:.0f} ms after they were sent"
    )
    story.narrator.tell(
        f"{tally.requests} flights of {plan.BASELINE_DAY:%-d %B %Y} asked by entities; features from Redis, 0 errors, "
        f"median {tally.p50_us / 1000:.1f} ms at the client; a day in {seconds:.0f} s"
    )


def report_drift(story: Story, live: Live) -> None:
    """The day's log against the training window, and against the offline store."""
    run = story.succeed(live, "report_drift")
    log, report = run.metadata("prediction_log"), run.metadata("drift_report")
    story.narrator.tell(
        f"{log['predictions']} predictions landed in Parquet; one spring day against the winter it was trained on, "
        f"each feature measured by its own past days: {report['verdict']}"
    )
    story.narrator.tell(f"Report: {report['report']}")
    compare_with_offline(story, live)


def compare_with_offline(story: Story, live: Live) -> None:
    """Every served vector of the day against the offline store: an earlier run may have left predictions of a later day."""
    run = story.succeed(live, "check_skew", ops={"skew_report": {"day": plan.BASELINE_DAY.isoformat()}})
    check = run.check("served_equals_offline")
    if check is None or not check["success"]:
        raise StepFailedError(f"what was served is not what training would have seen: {run.url}")
    story.narrator.figures["skew"] = run.metadata("skew_report")["verdict"]
    story.narrator.tell(
        f"The same rows recomputed offline, at the instant of each request: {story.narrator.figures['skew']}"
    )


def try_challenger(story: Story, live: Live) -> None:
    """A challenger that is bad in a way that no error shows."""
    ops = {
        "challenger_model": training_config(plan.STORM, plan.AFTER_A_BLIZZARD, "lightgbm"),
        "canary_arm": {"weight": 0.1, "shadow_fraction": 1.0},
    }
    run = story.succeed(live, "try_challenger", ops=ops)
    made = run.metadata("challenger_model")
    story.narrator.tell(
        f"Trained on the storm of 31 January alone ({made['training rows']:,} flights), and judged by its owner on 11 and 12 "
        f"February, after a blizzard: AUC {made['holdout AUC']:.4f}, Brier skill {made['holdout Brier skill']:.2f}, every gate passed"
    )
    story.narrator.tell("It answers 10 % of the keys and shadows the rest, on days such as it has never seen")
    wait_served(story, story.store.read())


def training_config(train: tuple[date, date], holdout: tuple[date, date], recipe: str) -> dict[str, str]:
    """Run configuration of a model asset: half-open ranges of days to learn from and to be judged on."""
    return {
        "train_start": train[0].isoformat(),
        "train_end": train[1].isoformat(),
        "holdout_start": holdout[0].isoformat(),
        "holdout_end": holdout[1].isoformat(),
        "recipe": recipe,
    }


def show(replay: Replay, live: Live) -> Any:
    """A callback that shows the replay's figures."""

    def after_minute(minute: Minute) -> None:
        tally = replay.tally
        live(
            f"{minute.at:%d %b %H:%M} UTC  {tally.requests} requests  {sum(tally.errors.values())} errors  {dict(tally.by_arm)}"
        )

    return after_minute


def require_no_errors(tally: Tally) -> None:
    """Raise StepFailedError naming the commonest error a client saw."""
    if tally.errors:
        what, count = tally.errors.most_common(1)[0]
        raise StepFailedError(f"{sum(tally.errors.values())} of {tally.requests} requests failed, {count} with {what}")


def served_canary_weight(settings: Settings) -> int:
    """Basis points of the keys that the gateway gives the canary now."""
    answer = httpx.get(f"{settings.gateway_url}/rollout", timeout=5, trust_env=False).raise_for_status()
    return int(answer.json()["canary_weight_bp"])


def wait_served(story: Story, state: RolloutState | None) -> None:
    """Wait until every gateway serves `state`. Raises StepFailedError when none is alive."""
    if state is None or not story.store.wait_until_served(state, timeout_s=10):
        raise StepFailedError("no gateway serves the new rollout state")
