"""The verdict's run: a canary loses its traffic and a verdict is kept, whether or not MLflow can be told of it."""

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import numpy as np
import pytest

from orchestration.defs.rollout import canary_verdict, rollback
from orchestration.defs.verdicts import CANARY_CHECK
from orchestration.rollout.trial import Trial
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore
from serving_gateway.control.transitions import first_state, start_canary
from tests.orchestration.rollout.test_judgement import NOON, write_day
from tests.servers import MlflowServer, free_port
from tests.serving_gateway.support import CONTRACT

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": datetime(2013, 5, 1, tzinfo=UTC)}
TRIAL = Trial("m_v2", 1, 2)


def judge(instance: dg.DagsterInstance, *, at_once: bool) -> dg.ExecuteInProcessResult:
    config = {"ops": {"canary_verdict": {"config": {"roll_back_at_once": at_once}}}}
    return dg.materialize([canary_verdict], instance=instance, run_config=config, raise_on_error=False)


class Scene:
    """A shadow on trial in a real Redis, and a lake with a day of rows that it scored too."""

    def __init__(self, redis_url: str, home: Path, *, worse: float, mlflow_run_id: str) -> None:
        self.store = RolloutStore.connect(redis_url)
        self.instance = dg.DagsterInstance.ephemeral()
        self.store.write(first_state(self._arm(1, "baseline"), **BY), None)
        shadow = self._arm(2, mlflow_run_id)
        self.store.change(lambda s: start_canary(s, shadow, weight_bp=1000, shadow_fraction=1.0, **BY))
        self.store.advance_clock(NOON + timedelta(days=1))
        write_day(home / "lake", NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=worse)

    def _arm(self, version: int, run_id: str) -> Arm:
        contract = msgspec.structs.replace(CONTRACT, version=str(version), mlflow_run_id=run_id)
        digest = self.store.put_contract(contract)
        return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=digest)

    def judge(self, *, at_once: bool = True) -> dg.ExecuteInProcessResult:
        return judge(self.instance, at_once=at_once)

    def standing(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state


@pytest.fixture
def home(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MLflow is away."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    return tmp_path


def hook_errors(scene: Scene, done: dg.ExecuteInProcessResult) -> list[str]:
    kind = dg.DagsterEventType.HOOK_ERRORED
    return [str(e.dagster_event) for e in scene.instance.all_logs(done.run_id, of_type=kind)]


def warnings(scene: Scene, done: dg.ExecuteInProcessResult) -> list[str]:
    return [entry.user_message for entry in scene.instance.all_logs(done.run_id) if entry.level == logging.WARNING]


def test_a_convicted_canary_loses_its_traffic_while_mlflow_is_away_and_that_is_seen(home: Path, redis_url: str) -> None:
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id="r")
    done = scene.judge()
    assert not done.success
    state = scene.standing()
    assert (state.phase, state.canary_weight_bp) == ("rolled_back", 0)
    assert state.actor == f"dagster:hook:roll_back_at_once:{done.run_id}"
    (check,) = done.get_asset_check_evaluations()
    assert (check.asset_check_key, check.passed) == (CANARY_CHECK, False)
    assert hook_errors(scene, done) == [], "the traffic is gone: nobody is to be woken"
    assert any("shadow review not recorded: MLflow at http" in line for line in warnings(scene, done))
    gauges = (home / "reports" / "prometheus" / "rollout.prom.txt").read_text()
    assert 'rollout_verdict{canary="m_v2",outcome="fail"} 1.0' in gauges


def test_a_disk_that_refuses_the_gauges_keeps_no_convicted_canary_going(home: Path, redis_url: str) -> None:
    (home / "reports").write_text("no folder")
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id="r")
    assert not scene.judge().success
    assert scene.standing().phase == "rolled_back"


def test_gateways_that_do_not_obey_are_an_error_of_the_hook_and_the_review_is_tried(
    home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.rollout.act.CONVERGENCE_TIMEOUT_S", 0.1)
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id="r")
    lagging = Acknowledgement("lagging", 1, 1, 1000, time.time() + 60)
    scene.store._redis.hset(keys.ACKS, "lagging", msgspec.json.encode(lagging))
    done = scene.judge()
    (error,) = hook_errors(scene, done)
    assert "still serve an older generation: lagging" in error
    assert scene.standing().phase == "rolled_back"
    assert any("shadow review not recorded" in line for line in warnings(scene, done))


def test_a_verdict_that_mlflow_did_not_hear_is_kept_and_its_run_is_red(home: Path, redis_url: str) -> None:
    scene = Scene(redis_url, home, worse=0.0, mlflow_run_id="r")
    done = scene.judge()
    assert not done.success
    (check,) = done.get_asset_check_evaluations()
    assert check.passed
    (made,) = done.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert metadata["rows"].value == metadata["dagster/row_count"].value == 300
    assert str(metadata["evidence"].value).startswith("![plot](data:image/png")
    failure = done.failure_data_for_node("canary_verdict")
    assert failure is not None
    assert "ShadowReviewError" in str(failure.error)
    assert scene.standing().canary_weight_bp == 1000


def test_the_rollback_job_takes_the_traffic_while_mlflow_is_away(home: Path, redis_url: str) -> None:
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id="r")
    done = rollback.execute_in_process(instance=scene.instance)
    assert done.success, "its failure would be told as a canary that still has traffic"
    assert scene.standing().phase == "rolled_back"
    (made,) = done.filter_events(lambda event: event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION)
    told = made.step_materialization_data.materialization.metadata["shadow review"].value
    assert str(told).startswith("not recorded: MLflow at http")
    assert any("shadow review not recorded" in line for line in warnings(scene, done))


def test_an_unreadable_audit_entry_fails_no_rollback(home: Path, redis_url: str) -> None:
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id="r")
    scene.store._redis.xadd(keys.AUDIT, {"state": "{"})
    assert rollback.execute_in_process(instance=scene.instance).success
    assert scene.standing().phase == "rolled_back"


def test_with_the_hook_off_a_failed_verdict_is_left_to_the_rollbacks_own_run_which_writes_it_down(
    home: Path, redis_url: str, mlflow_tracking: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    mlflow = MlflowClient(tracking_uri=mlflow_tracking.url)
    run_id = mlflow.create_run("0").info.run_id
    scene = Scene(redis_url, home, worse=1.5, mlflow_run_id=run_id)
    done = scene.judge(at_once=False)
    assert not done.success
    assert hook_errors(scene, done) == []
    assert scene.standing().canary_weight_bp == 1000
    assert "shadow_verdict" not in mlflow.get_run(run_id).data.tags
    assert rollback.execute_in_process(instance=scene.instance).success
    assert scene.standing().phase == "rolled_back"
    data = mlflow.get_run(run_id).data
    assert data.tags["shadow"] == "true"
    assert data.tags["shadow_verdict"].startswith("fail: 300 labelled rows")
    assert data.metrics["shadow_evidence_fail"] >= 100


def test_without_a_trial_there_is_nothing_to_judge_and_no_mlflow_to_tell(home: Path) -> None:
    done = judge(dg.DagsterInstance.ephemeral(), at_once=True)
    assert done.success
    (check,) = done.get_asset_check_evaluations()
    assert (check.passed, check.metadata["outcome"].value) == (True, "inconclusive")
