"""The whole stack on free ports, with a champion that serves: started once for the session."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import redis

from orchestration.demo import plan
from orchestration.demo.dagster_runs import DagsterRuns, Run
from orchestration.demo.story import training_config
from orchestration.embedded.stack import Stack
from orchestration.features.store import online_client
from orchestration.replay.client import Replay
from orchestration.replay.feed import Feed
from orchestration.replay.timeline import Minute, timeline
from orchestration.rollout.policy import SHIPPED
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore
from tests.e2e.automation import SCHEDULES, WORKING_SENSORS, Automation
from tests.observability.receivers import PAGERDUTY, SLACK, Inbox, receiving
from tests.servers import free_port

INGEST = (date(2013, 1, 15), date(2013, 2, 15))
TRAIN = (date(2013, 1, 15), date(2013, 2, 6))
HOLDOUT = (date(2013, 2, 6), date(2013, 2, 9))
CALM_DAY = date(2013, 2, 12)
DAY = timedelta(days=1)
ROUTING_KEY, WEBHOOK = "0123456789abcdef0123456789abcdef", "/services/T000/B000/xyz"
STACK_SWITCHES = {
    "REFLEX": "off",
    "EVENT_CLOCK": "replay",
    "HEALTH_POLICY_PATH": str(Path(__file__).with_name("health_policy.toml")),
    **dict.fromkeys(
        ("CRON_FEATURES", "CRON_TRAINING", "CRON_DRIFT", "CRON_HEALTH", "CRON_SKEW", "CRON_LANDING", "CRON_ROLLOUT"),
        "* * * * *",
    ),
}


@dataclass
class Platform:
    """A running stack and the ways in."""

    settings: Settings
    runs: DagsterRuns
    redis: redis.Redis
    store: RolloutStore

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The ways into the stack of these settings, which is up."""
        client = redis.Redis.from_url(settings.redis_url)
        return cls(settings, DagsterRuns(settings.dagster_url), client, RolloutStore(client))

    def succeed(self, job: str, **launch: Any) -> Run:
        run = self.runs.wait(self.runs.launch(job, **launch))
        assert run.status == "SUCCESS", run.failure
        return run

    def rewind(self, day: date) -> None:
        """Bring the online store to the first request of `day`, whatever it held."""
        self.succeed("materialize_online", ops={"online_store": {"as_of": day.isoformat(), "rewind": True}})

    def minutes(self, day: date) -> list[Minute]:
        return list(timeline(self.settings.lake, day, day + DAY))

    def replay(self) -> Replay:
        feed = Feed(self.redis, online_client(self.settings.features_redis_url))
        return Replay(self.settings.gateway_url, self.store, feed)

    def predict(self, body: Any) -> httpx.Response:
        return httpx.post(f"{self.settings.gateway_url}/predict", json=body, timeout=10, trust_env=False)

    def last_tick(self, sensor: str) -> float:
        """UNIX time of the sensor's last finished tick under the daemon; 0 before the first."""
        query = """query Ticks($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
            sensorState { ticks(limit: 1, statuses: [SUCCESS, SKIPPED]) { timestamp } } } } }"""
        found = self.runs.ask(query, {"sensor": {**self.runs.repository, "sensorName": sensor}})
        ticks = found["sensorOrError"]["sensorState"]["ticks"]
        return float(ticks[0]["timestamp"]) if ticks else 0.0

    def start_canary(self, *, weight: float = 0.1) -> str:
        """Train the demo's bad challenger and make it the canary (weight 0: a shadow); returns its Triton model."""
        ops = {
            "challenger_model": training_config(plan.STORM, plan.AFTER_A_BLIZZARD, "lightgbm"),
            "canary_arm": {"weight": weight, "shadow_fraction": 1.0},
        }
        self.succeed("try_challenger", ops=ops)
        state = self.store.read()
        assert state is not None
        assert state.arms.canary is not None
        assert self.store.wait_until_served(state, timeout_s=10)
        return state.arms.canary.triton_model


def quick_policy(home: Path) -> Path:
    """The shipped rollout policy with holds of an hour: a trial that steps lead then takes a day, not four."""
    text = re.sub(r"^hold_hours = .*$", "hold_hours = 1", SHIPPED.read_text(), flags=re.MULTILINE)
    path = home / "rollout_policy.toml"
    path.write_text(re.sub(r"^(rows|labels) = .*$", r"\1 = 100", text, flags=re.MULTILINE))
    return path


def partition_range(first: date, end: date) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": (end - DAY).isoformat(),
    }


@dataclass(frozen=True)
class OnCall:
    """What those who are called were sent."""

    slack: Inbox
    pagerduty: Inbox
    environment: dict[str, str]


@pytest.fixture(scope="session")
def on_call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnCall]:
    """Stand-ins on loopback for Slack and PagerDuty, and the settings that name them."""
    key, slack, pagerduty = tmp_path_factory.mktemp("secrets") / "pagerduty", free_port(), free_port()
    key.write_text(f"{ROUTING_KEY}\n")
    environment = {
        "SLACK_WEBHOOK_URL": f"http://127.0.0.1:{slack}{WEBHOOK}",
        "PAGERDUTY_ROUTING_KEY_FILE": str(key),
        "PAGERDUTY_URL": f"http://127.0.0.1:{pagerduty}/v2/enqueue",
    }
    with receiving(slack, WEBHOOK, SLACK) as channel, receiving(pagerduty, "/v2/enqueue", PAGERDUTY) as pager:
        yield OnCall(channel, pager, environment)


@pytest.fixture(scope="session")
def stack_environment(tmp_path_factory: pytest.TempPathFactory, on_call: OnCall) -> Iterator[dict[str, str]]:
    """Ports, home and switches of the session's stack, set in our own environment too."""
    wanted = {name.upper(): str(free_port()) for name in Settings.port_defaults()}
    home = tmp_path_factory.mktemp("stack")
    wanted |= {"PLATFORM_HOME": str(home), "ROLLOUT_POLICY_PATH": str(quick_policy(home)), **STACK_SWITCHES}
    wanted |= on_call.environment
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wanted.items():
            patch.setenv(name, value)
        yield {**os.environ, **wanted, "DAGSTER_HOME": f"{wanted['PLATFORM_HOME']}/dagster"}


@pytest.fixture(scope="session")
def started(stack_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The stack, healthy. Workers start theirs one after the other, so that none runs out of the time that a start has."""
    settings = Settings.load()
    with ExitStack() as standing:
        with (tmp_path_factory.getbasetemp().parent / "starting").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            standing.enter_context(stack := Stack(settings))
            stack.wait_until_healthy(lambda _name, _seconds: None)
        automation = Automation(DagsterRuns(settings.dagster_url))
        for name in (*SCHEDULES, *WORKING_SENSORS):
            automation.stop(name)  # each test starts what it wants to see
        yield settings


@pytest.fixture(scope="session")
def platform(started: Settings) -> Platform:
    """The stack with a month of features and a champion that answers everything."""
    found = Platform.of(started)
    found.succeed("ingest_and_compute", tags=partition_range(*INGEST))
    found.succeed("train_champion", ops={"champion_model": training_config(TRAIN, HOLDOUT, "lightgbm")})
    state = found.store.read()
    assert state is not None
    assert found.store.wait_until_served(state, timeout_s=10)
    found.rewind(CALM_DAY)
    return found


@pytest.fixture(scope="session")
def logs(started: Settings) -> Path:
    """Where the processes write."""
    return started.home / "log"
