"""The health assets as Dagster runs them: what is usual is found once, two bad weeks running fail the check."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from orchestration.defs.health import HEALTH_CHECK, LABELS_CHECK, HealthConfig, UsualConfig, model_health, usual_health
from orchestration.defs.sensors_health import retrain_on_drift
from orchestration.health.policy import SHIPPED
from orchestration.health.report import past_file, read_report
from orchestration.rollout.act import serve_baseline
from orchestration.training.recipes import RecipeName
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import NoRolloutError, RolloutStore
from tests.orchestration.health.logs import DAY, MODEL, write_days, write_outcomes
from tests.synthetic import synthetic_model, write_partitioned

pytestmark = pytest.mark.integration
TRAINED = (date(2013, 1, 1), date(2013, 3, 4))
SERVED_FROM = date(2013, 3, 11)
WEEK = 7 * DAY
ASSETS: list[Any] = [usual_health, model_health]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine weeks to learn from; of the four that were served the last two have left the model's scores."""
    folder = tmp_path_factory.mktemp("home") / "lake"
    write_partitioned(folder / "training", *TRAINED)
    write_days(folder, SERVED_FROM, 14)
    write_days(folder, SERVED_FROM + 2 * WEEK, 14, log_odds=0.6)
    write_days(folder, SERVED_FROM + 4 * WEEK, 4, outcomes=False)
    return folder


@pytest.fixture
def store(lake: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RolloutStore:
    """Two past windows are enough here: each costs a training."""
    policy = SHIPPED.read_text().replace("most_windows = 12", "most_windows = 2")
    (tmp_path / "policy.toml").write_text(policy.replace("fewest_windows = 4", "fewest_windows = 2"))
    monkeypatch.setenv("HEALTH_POLICY_PATH", str(tmp_path / "policy.toml"))
    monkeypatch.setenv("PLATFORM_HOME", str(lake.parent))
    monkeypatch.setenv("REDIS_URL", redis_url)
    return RolloutStore.connect(redis_url)


def served(store: RolloutStore) -> None:
    contract = msgspec.structs.replace(
        synthetic_model().contract, training_start="2012-12-31T23:00:00+00:00", training_end="2013-03-03T23:00:00+00:00"
    )
    arm = Arm(model=contract.model, version="1", triton_model=MODEL, contract_digest=store.put_contract(contract))
    serve_baseline(store, arm, actor="test", now=datetime.now(UTC))


def looked(store: RolloutStore, day: date, instance: dg.DagsterInstance, **usual: object) -> dg.ExecuteInProcessResult:
    store.advance_clock(datetime(day.year, day.month, day.day, 3, tzinfo=UTC))
    config = dg.RunConfig(
        {"usual_health": UsualConfig(recipe=RecipeName.lightgbm, **usual), "model_health": HealthConfig()}
    )  # type: ignore[arg-type]
    return dg.materialize(ASSETS, run_config=config, instance=instance)


def evaluated(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (made,) = result.asset_materializations_for_node(asset)
    return {label: value.value for label, value in made.metadata.items()}


def test_two_bad_weeks_running_fail_the_check_and_ask_for_a_challenger(store: RolloutStore, lake: Path) -> None:
    served(store)
    with dg.DagsterInstance.ephemeral() as instance:
        calm = looked(store, SERVED_FROM + 2 * WEEK, instance)
        usual, health = shown(calm, "usual_health"), shown(calm, "model_health")
        assert (usual["past windows"], usual["enough past windows"], usual["days"]) == (
            2,
            True,
            "2013-01-01/2013-03-04",
        )
        assert (health["outcome"], len(health["days"].records), len(health["windows"].records)) == ("good", 14, 2)
        assert {row.data["figure"] for row in health["estimate without labels"].records} == {"log_loss", "brier", "auc"}
        assert health["plot"].startswith("![plot](data:image/png;base64,")
        written = past_file(lake).stat().st_mtime_ns

        bad = looked(store, SERVED_FROM + 4 * WEEK, instance)
        found = evaluated(bad)[HEALTH_CHECK.name]
        assert bad.success, "it stops nothing"
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "2 bad windows running" in str(found.metadata["reason"].value)
        assert found.metadata["windows until"].value == str(SERVED_FROM + 4 * WEEK)
        assert past_file(lake).stat().st_mtime_ns == written, "what is usual is kept"
        report = read_report(lake.parent / "reports")
        assert report is not None
        assert (report.verdict.outcome, report.triton_model) == ("bad", MODEL)

        for n in range(7):  # the days between, so that there are enough to train on
            write_outcomes(lake, TRAINED[1] + n * DAY, [], [], [])
        asked = retrain_on_drift(dg.build_sensor_context(instance=instance))
        assert isinstance(asked, dg.SensorResult), asked
        (request,) = asked.run_requests or []
        assert request.tags["health/as_of"] == found.metadata["as_of"].value

        late = looked(store, SERVED_FROM + 4 * WEEK + 4 * DAY, instance, refit=True)
        assert "behind the event clock" in str(evaluated(late)[LABELS_CHECK.name].metadata["reason"].value)
        assert not evaluated(late)[LABELS_CHECK.name].passed
        assert not evaluated(late)[HEALTH_CHECK.name].passed, "the verdict stands"
        assert past_file(lake).stat().st_mtime_ns != written


def test_without_anything_served_there_is_nothing_to_judge(store: RolloutStore) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(NoRolloutError, match="nothing is served yet"):
        dg.materialize([model_health], instance=instance)


def test_a_policy_that_cannot_be_read_is_named(
    store: RolloutStore, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served(store)
    monkeypatch.setenv("HEALTH_POLICY_PATH", str(lake / "none.toml"))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(Exception, match=r"none\.toml \(HEALTH_POLICY_PATH"):
        dg.materialize([model_health], instance=instance)
