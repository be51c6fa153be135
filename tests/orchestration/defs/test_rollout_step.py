"""A run that judges a trial and does what follows: on a real Redis, with a lake of rows that both models scored."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import numpy as np
import pytest

from orchestration.defs.rollout import canary_verdict, rollback
from orchestration.defs.rollout_step import rollout_step
from orchestration.rollout.evidence_documents import evidence_folder, read_document
from orchestration.rollout.policy import SHIPPED
from orchestration.rollout.trial import Trial
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.steps import begin_trial, hold
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state
from tests.orchestration.rollout.test_judgement import NOON, write_day
from tests.servers import MlflowServer
from tests.serving_gateway.support import CONTRACT

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": datetime(2013, 5, 1, tzinfo=UTC)}
TRIAL = Trial("m_v2", 1, 2)
# Two steps, the shadow and promoted, that ask for hours and labels alone: what tests find is their own tests' matter.
STEP = """
[[rollout.steps]]
weight = {weight}
shadow_fraction = {shadow}
hold_hours = 24
rows = 0
labels = 200
needs = []
approval = false
"""


def policy(folder: Path) -> Path:
    path = folder / "policy.toml"
    before, _, _ = SHIPPED.read_text().partition("[[rollout.steps]]")
    head = before[: before.rindex("# A trial walks")]
    path.write_text(head + STEP.format(weight=0.0, shadow=1.0) + STEP.format(weight=1.0, shadow=0.0))
    return path


class Scene:
    """A shadow at step 0 since NOON, and a lake with a day of rows that it scored too."""

    def __init__(self, redis_url: str, home: Path, run_id: str) -> None:
        self.store = RolloutStore.connect(redis_url)
        self.instance = dg.DagsterInstance.ephemeral()
        self.home = home
        self.store.write(first_state(self._arm(1, "none"), **BY), None)
        shares = {"weight_bp": 0, "shadow_fraction": 1.0, "event_time": NOON}
        tried = self._arm(2, run_id)
        self.store.change(lambda s: begin_trial(s, tried, **shares, **BY))  # type: ignore[arg-type]

    def _arm(self, version: int, run_id: str) -> Arm:
        contract = msgspec.structs.replace(CONTRACT, version=str(version), mlflow_run_id=run_id)
        digest = self.store.put_contract(contract)
        return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=digest)

    def logged(self, *, worse: float) -> None:
        write_day(self.home / "lake", NOON.date(), np.random.default_rng(1), trial=TRIAL, worse=worse)

    def advance(self, hours: int, *, at_once: bool = True) -> dg.ExecuteInProcessResult:
        self.store.advance_clock(NOON + timedelta(hours=hours))
        config = {"ops": {"canary_verdict": {"config": {"roll_back_at_once": at_once}}}}
        assets = [canary_verdict, rollout_step]
        return dg.materialize(assets, instance=self.instance, run_config=config, raise_on_error=False)

    @property
    def state(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state


@pytest.fixture
def scene(redis_url: str, mlflow_tracking: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    from mlflow import MlflowClient

    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    monkeypatch.setenv("ROLLOUT_POLICY_PATH", str(policy(tmp_path)))
    return Scene(redis_url, tmp_path, MlflowClient(tracking_uri=mlflow_tracking.url).create_run("0").info.run_id)


def told(done: dg.ExecuteInProcessResult) -> dict[str, object]:
    (made,) = [e for e in done.get_asset_materialization_events() if e.asset_key == rollout_step.key]
    return {label: value.value for label, value in made.materialization.metadata.items()}


def test_it_waits_goes_on_and_settles_each_on_evidence_that_was_kept(scene: Scene) -> None:
    assert told(scene.advance(1))["decision"] == "Wait"
    assert "0 of 200 labels" in str(told(scene.advance(25))["reason"])
    scene.logged(worse=0.0)
    assert "1.0 h of the step's 24 h are left" in str(told(scene.advance(23))["reason"])
    assert scene.state.position == (1, 2)

    done = scene.advance(25)
    assert (told(done)["decision"], told(done)["phase"]) == ("GoOn", "promoted")
    state = scene.state
    assert (state.phase, state.canary_weight_bp, state.actor) == ("promoted", 10_000, f"dagster:{done.run_id}")
    assert state.trial is not None
    assert (state.trial.step, state.trial.generation) == (1, 2)
    assert told(done)["evidence"] == str(evidence_folder(scene.home / "lake") / state.trial.evidence)
    document = read_document(evidence_folder(scene.home / "lake"), state.trial.evidence)
    assert (document.state, document.decision.step) == ((1, 2), 1)
    assert next(one for one in document.criteria if one.name == "loss").rows == 300

    assert "23.0 h" in str(told(scene.advance(26))["reason"])
    assert told(scene.advance(49))["decision"] == "Settle"
    assert (scene.state.phase, scene.state.arms.baseline.triton_model) == ("stable", "m_v2")
    assert told(scene.advance(50)) == {
        "decision": "Wait",
        "reason": "this run has judged no trial",
    }


def test_what_is_held_stays(scene: Scene) -> None:
    scene.logged(worse=0.0)
    held = scene.store.change(lambda s: hold(s, actor="cli:ada", reason="lunch", now=BY["now"]))  # type: ignore[arg-type]
    assert told(scene.advance(25))["reason"] == "held by cli:ada: lunch"
    assert scene.state == held


@pytest.mark.parametrize("at_once", [True, False])
def test_a_conviction_rests_on_a_document_whoever_carries_it_out(scene: Scene, at_once: bool) -> None:
    scene.logged(worse=1.5)
    done = scene.advance(1, at_once=at_once)
    assert not done.success
    if not at_once:
        assert scene.state.phase == "shadow"
        trial = {"canary": "m_v2", "epoch": 1, "generation": 2}
        config = {"ops": {"roll_back_canary": {"config": {"reason": "worse", "trial": trial}}}}
        assert rollback.execute_in_process(instance=scene.instance, run_config=config).success
    state = scene.state
    assert (state.phase, state.arms.baseline.triton_model) == ("rolled_back", "m_v1")
    assert state.trial is not None
    document = read_document(evidence_folder(scene.home / "lake"), state.trial.evidence)
    assert (document.outcome, document.decision.kind, document.state) == ("fail", "RollBack", (1, 2))


def test_a_disk_that_refuses_keeps_no_convicted_canary_going_and_raises_nobody(scene: Scene) -> None:
    scene.logged(worse=1.5)
    folder = evidence_folder(scene.home / "lake")
    folder.parent.mkdir(parents=True)
    folder.touch()
    scene.advance(1)
    assert scene.state.phase == "rolled_back"
    assert scene.state.trial is not None
    assert scene.state.trial.evidence == ""


def test_a_step_whose_evidence_cannot_be_kept_is_not_taken(scene: Scene) -> None:
    scene.logged(worse=0.0)
    folder = evidence_folder(scene.home / "lake")
    folder.parent.mkdir(parents=True)
    folder.touch()
    before = scene.state
    assert not scene.advance(25).success
    assert scene.state == before


def test_a_policy_that_cannot_be_used_fails_the_run_by_its_name(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROLLOUT_POLICY_PATH", str(tmp_path / "none.toml"))
    failure = scene.advance(1).failure_data_for_node("canary_verdict")
    assert failure is not None
    assert f"{tmp_path / 'none.toml'} (ROLLOUT_POLICY_PATH)" in str(failure.error)
