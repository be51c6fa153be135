"""Bad health asks for a challenger, on an instance that holds real evaluations: when, on which days, and how often."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.due import ATTEMPTS
from orchestration.defs.sensors_health import AS_OF_TAG, HEALTH_CHECK, retrain_on_drift
from orchestration.health.policy import SHIPPED
from tests.orchestration.features.lakes import there

pytestmark = pytest.mark.integration
DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-12-31").get_partition_keys()


@dg.asset(name="model_health", check_specs=[dg.AssetCheckSpec(HEALTH_CHECK.name, asset="model_health")])
def health(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """A look at the model's health as its tags say."""
    tags = context.run.tags
    check = dg.AssetCheckResult(
        check_name=HEALTH_CHECK.name,
        passed=tags["outcome"] != "bad",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"as_of": tags["as_of"], "outcome": tags["outcome"], "reason": f"it was {tags['outcome']}"},
    )
    return dg.MaterializeResult(check_results=[check])


class Scene:
    """An instance, a home, and ticks that carry the cursor on as the daemon does."""

    def __init__(self, home: Path) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.home = home
        self.cursor: str | None = None

    def stored(self, first: str, last: str) -> None:
        for day in DAYS[DAYS.index(first) : DAYS.index(last) + 1]:
            there(self.home / "lake", "training_rows", date.fromisoformat(day))

    def looked(self, as_of: str, outcome: str = "bad") -> None:
        tags = {"as_of": f"{as_of}T00:00:00+00:00", "outcome": outcome}
        dg.materialize([health], instance=self.instance, tags=tags)

    def ended(self, asked: dg.RunRequest, status: dg.DagsterRunStatus) -> None:
        """What was asked for has been run."""

        @dg.job(name="train_challenger")
        def empty() -> None:
            return

        self.instance.create_run_for_job(empty, status=status, tags=dict(asked.tags))

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        found = retrain_on_drift(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        assert isinstance(found, dg.SensorResult | dg.SkipReason)
        if isinstance(found, dg.SensorResult):
            self.cursor = found.cursor
        return found

    def asked(self) -> dg.RunRequest:
        found = self.tick()
        assert isinstance(found, dg.SensorResult), found
        (request,) = found.run_requests or []
        return request

    def skipped(self) -> str:
        found = self.tick()
        assert isinstance(found, dg.SkipReason), found
        return str(found.skip_message)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.delenv("HEALTH_POLICY_PATH", raising=False)
    return Scene(tmp_path)


def test_bad_health_asks_for_a_challenger_on_all_days_before_it(scene: Scene) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    assert scene.skipped() == "nobody has looked at the model's health yet: run judge_health"
    scene.looked("2013-05-01", "good")
    assert "as of 2013-05-01 00:00 is good: it was good" in scene.skipped()
    scene.looked("2013-05-03")
    asked = scene.asked()
    assert asked.run_config["ops"]["challenger_model"]["config"] == {
        "train_start": "2013-02-01", "train_end": "2013-04-05",
        "holdout_start": "2013-04-05", "holdout_end": "2013-05-03", "refit": True, "recipe": "lightgbm",
    }  # fmt: skip
    assert asked.tags["health/as_of"] == "2013-05-03T00:00:00+00:00"


def test_drift_of_the_inputs_alone_asks_for_nothing(scene: Scene) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    drift = dg.AssetCheckEvaluation(
        dg.AssetKey("drift_report"), "inputs_have_not_drifted", passed=False,
        metadata={"as_of": "2013-05-03T00:00:00+00:00", "outcome": "fail", "reason": "26 of 26 features drifted"},
    )  # fmt: skip
    scene.instance.report_runless_asset_event(drift)
    assert "nobody has looked" in scene.skipped()


def test_it_asks_once_in_two_weeks_of_event_time(scene: Scene) -> None:
    scene.stored("2013-02-01", "2013-06-10")
    keys_asked = []
    for as_of in ("2013-05-03", "2013-05-10", "2013-05-16", "2013-05-17", "2013-05-24"):
        scene.looked(as_of)
        found = scene.tick()
        if isinstance(found, dg.SensorResult):
            keys_asked += [request.run_key for request in found.run_requests or []]
        else:
            assert "the next may follow 14 days after" in str(found.skip_message)
    assert keys_asked == ["health:2013-05-03T00:00:00+00:00:1", "health:2013-05-17T00:00:00+00:00:1"]


def test_how_often_the_policy_says(scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    monkeypatch.setenv("HEALTH_POLICY_PATH", str(path))
    scene.stored("2013-02-01", "2013-06-10")
    scene.looked("2013-05-03")
    assert f"{path} (HEALTH_POLICY_PATH)" in scene.skipped()
    path.write_text(SHIPPED.read_text().replace("every_days = 14", "every_days = 3"))
    assert scene.asked()
    scene.looked("2013-05-05")
    assert "3 days after" in scene.skipped()
    scene.looked("2013-05-06")
    assert scene.asked()


@pytest.mark.parametrize("outcome", ["good", "inconclusive"])
def test_what_a_later_look_no_longer_finds_asks_for_nothing(scene: Scene, outcome: str) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    scene.looked("2013-05-03")
    scene.looked("2013-05-10", outcome)
    assert f"is {outcome}" in scene.skipped()


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED])
def test_a_challenger_that_came_to_nothing_is_asked_for_again_a_few_times(
    scene: Scene, status: dg.DagsterRunStatus
) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    scene.looked("2013-05-03")
    keys_asked = set()
    for _ in range(ATTEMPTS):
        asked = scene.asked()
        keys_asked.add(asked.run_key)
        scene.ended(asked, status)
    assert len(keys_asked) == ATTEMPTS
    assert f"3 times for {AS_OF_TAG} 2013-05-03" in scene.skipped()


def test_a_challenger_that_was_trained_is_asked_for_again_where_the_cursor_is_reset(scene: Scene) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    scene.looked("2013-05-03")
    asked = scene.asked()
    scene.ended(asked, dg.DagsterRunStatus.SUCCESS)
    assert "14 days" in scene.skipped()
    scene.cursor = None
    assert scene.asked().run_key != asked.run_key


def test_a_training_under_way_is_waited_for(scene: Scene) -> None:
    scene.stored("2013-02-01", "2013-06-10")
    scene.looked("2013-05-03")
    scene.ended(scene.asked(), dg.DagsterRunStatus.STARTED)
    scene.looked("2013-05-30")
    assert "of train_challenger is under way" in scene.skipped()


@pytest.mark.parametrize(
    "metadata", [{}, {"as_of": "soon", "outcome": "bad", "reason": ""}, {"as_of": "2013-06-01T00:00:00+00:00"}]
)
def test_an_evaluation_that_is_not_ours_hides_none_of_ours(scene: Scene, metadata: dict[str, str]) -> None:
    scene.stored("2013-02-01", "2013-05-20")
    foreign = dg.AssetCheckEvaluation(HEALTH_CHECK.asset_key, HEALTH_CHECK.name, passed=False, metadata=metadata)
    scene.instance.report_runless_asset_event(foreign)
    assert "nobody has looked" in scene.skipped()
    scene.looked("2013-05-03")
    scene.instance.report_runless_asset_event(foreign)
    assert scene.asked().tags[AS_OF_TAG] == "2013-05-03T00:00:00+00:00"


def test_without_enough_days_it_asks_for_nothing_and_forgets_nothing(scene: Scene) -> None:
    scene.looked("2013-05-03")
    assert "run ingest_and_compute" in scene.skipped()
    scene.stored("2013-02-01", "2013-05-02")
    assert scene.asked()
