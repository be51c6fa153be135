"""Each schedule's evaluation against a real Redis and an instance that holds real events: what it asks for, why it skips."""

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.tags import RUN_KEY_TAG

from orchestration.defs import schedules
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control import keys
from serving_gateway.control.steps import approve, begin_trial
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, set_weight
from tests.orchestration.features.lakes import there
from tests.servers import BIN, ROOT, free_port

pytestmark = pytest.mark.integration
NOW = datetime(2013, 5, 3, 6, tzinfo=UTC)
EVERY = [
    schedules.daily_features, schedules.weekly_challenger, schedules.daily_drift_report, schedules.daily_health,
    schedules.daily_skew_check, schedules.log_landing, schedules.rollout_steps,
]  # fmt: skip
BY_THE_CLOCK = [schedules.daily_drift_report, schedules.daily_health, schedules.daily_skew_check]


class Scene:
    """A Redis whose event clock stands at NOW, with a baseline, and an instance."""

    def __init__(self, url: str, instance: dg.DagsterInstance, home: Path) -> None:
        self.lake = home / "lake"
        self.store = RolloutStore.connect(url)
        self.instance = instance
        arm = Arm(model="m", version="1", triton_model="m_v1", contract_digest="d")
        self.store.write(first_state(arm, actor="test", reason="test", now=NOW), None)
        self.store.advance_clock(NOW)

    def on_trial(self) -> None:
        """A model that steps lead."""
        arm = Arm(model="m", version="2", triton_model="m_v2", contract_digest="d")
        by = {"event_time": NOW, "actor": "test", "reason": "test", "now": NOW}
        self.store.change(lambda s: begin_trial(s, arm, weight_bp=0, shadow_fraction=1.0, **by))  # type: ignore[arg-type]

    def stored(self, asset: str, first: str, last: str) -> None:
        days = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-12-31")
        keys_of = days.get_partition_keys()
        for day in keys_of[keys_of.index(first) : keys_of.index(last) + 1]:
            there(self.lake, asset, date.fromisoformat(day))

    def under_way(self, job: str) -> None:
        @dg.job(name=job)
        def empty() -> None:
            return

        self.instance.create_run_for_job(empty, status=dg.DagsterRunStatus.STARTED)

    def ended(self, asked: dg.RunRequest, job: str, status: dg.DagsterRunStatus) -> None:
        """What was asked for has been run, with the tags that the daemon gives its run."""

        @dg.job(name=job)
        def empty() -> None:
            return

        assert asked.run_key is not None
        self.instance.create_run_for_job(empty, status=status, tags={RUN_KEY_TAG: asked.run_key})

    def tick(self, schedule: dg.ScheduleDefinition) -> dg.RunRequest | dg.SkipReason:
        found = schedule(dg.build_schedule_context(instance=self.instance))
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    def asked(self, schedule: dg.ScheduleDefinition) -> dg.RunRequest:
        found = self.tick(schedule)
        assert isinstance(found, dg.RunRequest), found
        return found

    def skipped(self, schedule: dg.ScheduleDefinition) -> str:
        found = self.tick(schedule)
        assert isinstance(found, dg.SkipReason), found
        return str(found.skip_message)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    """On disk, for a schedule's context opens it by reference: to make its databases takes half a second."""
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def scene(redis_url: str, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    instance.wipe()
    return Scene(redis_url, instance, tmp_path)


def test_yesterday_becomes_features_and_redis_is_brought_to_today(scene: Scene) -> None:
    asked = scene.asked(schedules.daily_features)
    assert (asked.partition_key, asked.run_key) == ("2013-05-02", "2013-05-02")
    assert asked.run_config == {"ops": {"online_store": {"config": {"as_of": "2013-05-03"}}}}


def test_without_a_replay_the_wall_clock_counts_and_the_source_has_no_such_day(scene: Scene, redis_url: str) -> None:
    scene.store._redis.delete(keys.CLOCK)
    assert f"{datetime.now(UTC):%Y}" in scene.skipped(schedules.daily_features)


def test_a_challenger_is_asked_for_on_the_days_that_are_stored(scene: Scene) -> None:
    assert "run ingest_and_compute" in scene.skipped(schedules.weekly_challenger)
    scene.stored("training_rows", "2013-03-01", "2013-05-02")
    asked = scene.asked(schedules.weekly_challenger)
    assert asked.run_key == "2013-05-03"
    assert asked.run_config["ops"]["challenger_model"]["config"] == {
        "train_start": "2013-03-01", "train_end": "2013-04-05",
        "holdout_start": "2013-04-05", "holdout_end": "2013-05-03", "refit": True,
    }  # fmt: skip


def test_on_a_monday_of_event_time_the_week_is_reported_too(scene: Scene) -> None:
    scene.store.advance_clock(datetime(2013, 5, 6, 2, tzinfo=UTC))
    day, week = schedules.daily_drift_report(dg.build_schedule_context(instance=scene.instance))
    assert (day.run_key, day.run_config) == ("2013-05-06T02:00:00+00:00", {})
    assert week.run_key == "2013-05-06T02:00:00+00:00-week"
    assert week.run_config == {"ops": {"drift_report": {"config": {"hours": 168}}}}


@pytest.mark.parametrize("schedule", BY_THE_CLOCK, ids=lambda s: s.name)
def test_requests_are_looked_at_once_for_a_stand_of_the_clock(scene: Scene, schedule: dg.ScheduleDefinition) -> None:
    first = scene.asked(schedule)
    assert scene.asked(schedule).run_key == first.run_key
    scene.store.advance_clock(datetime(2013, 5, 4, tzinfo=UTC))
    assert scene.asked(schedule).run_key != first.run_key


@pytest.mark.parametrize("schedule", [s for s in EVERY if s is not schedules.log_landing], ids=lambda s: s.name)
def test_while_the_clock_rests_what_is_done_is_not_done_again_and_what_failed_is(
    scene: Scene, schedule: dg.ScheduleDefinition
) -> None:
    scene.stored("training_rows", "2013-03-01", "2013-05-02")
    scene.on_trial()
    asked = scene.asked(schedule)
    scene.ended(asked, schedule.job_name, dg.DagsterRunStatus.FAILURE)
    assert scene.asked(schedule).run_key == asked.run_key
    scene.ended(asked, schedule.job_name, dg.DagsterRunStatus.SUCCESS)
    assert f"of {schedule.job_name} has done {asked.run_key}" in scene.skipped(schedule)


def test_the_log_is_landed_where_predictions_wait(scene: Scene) -> None:
    assert scene.skipped(schedules.log_landing) == "no prediction waits to be landed"
    scene.store._redis.xadd(keys.PREDICTIONS, {"x": "y"})
    assert scene.asked(schedules.log_landing).run_key is None


def test_a_trial_is_judged_where_steps_lead_one(scene: Scene) -> None:
    assert scene.skipped(schedules.rollout_steps) == "no model is on trial"
    scene.on_trial()
    asked = scene.asked(schedules.rollout_steps)
    assert asked.run_key == "1:2 at 2013-05-03T06:00:00+00:00"
    scene.ended(asked, "advance_rollout", dg.DagsterRunStatus.SUCCESS)
    by = {"actor": "test", "reason": "test", "now": NOW}
    scene.store.change(lambda s: approve(s, **by))
    assert scene.asked(schedules.rollout_steps).run_key != asked.run_key, "somebody has spoken: decide anew"
    scene.store.change(lambda s: set_weight(s, 500, **by))
    assert "m_v2 is led by hand" in scene.skipped(schedules.rollout_steps)


@pytest.mark.parametrize(
    "schedule", [schedules.weekly_challenger, schedules.rollout_steps, *BY_THE_CLOCK], ids=lambda s: s.name
)
def test_what_needs_a_model_waits_for_one(scene: Scene, schedule: dg.ScheduleDefinition) -> None:
    scene.store._redis.delete(keys.ROLLOUT)
    assert scene.skipped(schedule) == "nothing is served yet: run train_champion"


@pytest.mark.parametrize("schedule", EVERY, ids=lambda s: s.name)
def test_a_run_under_way_is_waited_for(scene: Scene, schedule: dg.ScheduleDefinition) -> None:
    scene.stored("training_rows", "2013-03-01", "2013-05-02")
    scene.store._redis.xadd(keys.PREDICTIONS, {"x": "y"})
    scene.on_trial()
    scene.asked(schedule)
    scene.under_way(schedule.job_name)
    assert f"of {schedule.job_name} is under way" in scene.skipped(schedule)


@pytest.mark.parametrize("schedule", EVERY, ids=lambda s: s.name)
def test_a_redis_that_is_away_is_a_reason(
    scene: Scene, schedule: dg.ScheduleDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert "Redis does not answer" in scene.skipped(schedule)


@pytest.mark.parametrize("value", ["tomorrow", "* * * *", "61 * * * *", "* * * * * *", "0 0 31 2 *"])
def test_a_cron_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="CRON_X must be a cron expression of five fields"):
        schedules._cron("CRON_X", value)


def test_the_definitions_do_not_load_with_it_and_name_the_variable() -> None:
    done = subprocess.run(
        [BIN / "python", "-c", "import orchestration.defs.schedules"],
        cwd=ROOT, env=os.environ | {"CRON_DRIFT": "tomorrow"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ValueError: CRON_DRIFT must be a cron expression" in done.stderr
    assert "got 'tomorrow'" in done.stderr
