"""What begins a trial, and people's word on it, on a real Redis, a real MLflow and an instance of Dagster."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from orchestration.defs import serving
from orchestration.defs.due import ATTEMPTS
from orchestration.defs.rulings import approve_rollout, hold_rollout, release_rollout
from orchestration.defs.trials import begin_trial, begin_trial_of_challenger
from orchestration.publishing.repository import Repository
from orchestration.rollout.policy import SHIPPED
from orchestration.settings import Settings
from orchestration.training.contract import MODEL
from serving_gateway.contracts import ModelContract
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, set_weight
from tests.servers import MlflowServer, free_port
from tests.serving_gateway.support import CONTRACT

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": datetime(2013, 5, 1, tzinfo=UTC)}
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)


def contract(version: int) -> ModelContract:
    return msgspec.structs.replace(CONTRACT, model=MODEL, version=str(version))


def name(version: int) -> str:
    return f"{MODEL}_v{version}"


class Scene:
    """Version 1 answers, 1 and 2 are published, the event clock stands at noon."""

    def __init__(self, url: str, mlflow_url: str) -> None:
        self.store = RolloutStore.connect(url)
        self.instance = dg.DagsterInstance.ephemeral()
        digest = self.store.put_contract(contract(1))
        arm = Arm(model=MODEL, version="1", triton_model=name(1), contract_digest=digest)
        self.store.write(first_state(arm, **BY), None)
        self.store.advance_clock(NOON)
        self.publish(1, 2)
        self.mlflow_url = mlflow_url

    def publish(self, *versions: int) -> None:
        repository = Repository.of(Settings.load())
        repository.manifest.parent.mkdir(parents=True, exist_ok=True)
        repository.set_published([name(version) for version in versions])

    def challenger_is(self, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """As MLflow's alias says; the contract comes with the artifact, which needs no training here."""
        monkeypatch.setattr(serving, "_contract", lambda _settings, _alias: contract(version))
        monkeypatch.setattr("orchestration.publishing.registered.served_name", lambda _settings, _alias: name(version))

    def tick(self) -> dg.RunRequest | dg.SkipReason:
        found = begin_trial_of_challenger(dg.build_sensor_context(instance=self.instance))
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    def skipped(self) -> str:
        found = self.tick()
        assert isinstance(found, dg.SkipReason), found
        return str(found.skip_message)

    def asked(self) -> dg.RunRequest:
        found = self.tick()
        assert isinstance(found, dg.RunRequest), found
        return found

    def run(self, asked: dg.RunRequest) -> dg.ExecuteInProcessResult:
        return begin_trial.execute_in_process(
            run_config=asked.run_config, tags=dict(asked.tags), instance=self.instance, raise_on_error=False
        )

    def say(self, job: dg.JobDefinition, reason: str = "because") -> dg.ExecuteInProcessResult:
        op = job.nodes[0].name
        config: dict[str, Any] = {"ops": {op: {"config": {"reason": reason}}}}
        return job.execute_in_process(run_config=config, instance=self.instance, raise_on_error=False)

    @property
    def state(self) -> RolloutState:
        state = self.store.read()
        assert state is not None
        return state


@pytest.fixture
def scene(redis_url: str, mlflow_tracking: MlflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("EVENT_CLOCK", "replay")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_tracking.url)
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.delenv("ROLLOUT_POLICY_PATH", raising=False)
    return Scene(redis_url, mlflow_tracking.url)


def test_a_published_challenger_goes_on_trial_as_a_shadow(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.challenger_is(2, monkeypatch)
    asked = scene.asked()
    assert asked.tags == {"drift/candidate": f"{name(2)} at 1:1"}
    done = scene.run(asked)
    assert done.success
    state = scene.state
    assert (state.phase, state.arms.canary and state.arms.canary.triton_model) == ("shadow", name(2))
    assert (state.canary_weight_bp, state.shadow_fraction, state.actor) == (0, 1.0, f"dagster:{done.run_id}")
    assert state.trial is not None
    assert (state.trial.step, state.trial.began, state.trial.entered) == (0, NOON.isoformat(), NOON.isoformat())
    assert scene.skipped() == f"{name(2)} is on trial"
    scene.store.change(lambda s: rolled_back(s, **BY))
    assert scene.skipped() == f"no published model is newer than {name(1)} and untried"
    assert begin_trial.execute_in_process(instance=scene.instance).success, "people may try it once more"
    assert scene.state.phase == "shadow"
    assert not begin_trial.execute_in_process(instance=scene.instance, raise_on_error=False).success


def test_what_is_published_and_no_challenger_is_left_alone(scene: Scene) -> None:
    """As a champion is until its arm is served. MLflow has no such alias here."""
    assert scene.run(scene.asked()).success
    assert scene.state.phase == "stable"
    assert f"found that {name(2)} is not the challenger" in scene.skipped()
    scene.store.change(lambda s: rolled_back(s, **BY))
    assert scene.asked().tags == {"drift/candidate": f"{name(2)} at 1:2"}, "another state: it is looked at anew"


def test_what_fails_is_asked_for_again_and_then_left_to_a_person(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    keys = set()
    for _ in range(ATTEMPTS):
        asked = scene.asked()
        keys.add(asked.run_key)
        assert not scene.run(asked).success
    assert len(keys) == ATTEMPTS, "the daemon launches a run key once"
    assert "begin_trial has been run 3 times" in scene.skipped()
    assert scene.state.phase == "stable"


def test_where_people_begin_trials_none_begins_by_itself(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(SHIPPED.read_text().replace("automatic = true", "automatic = false"))
    assert tomllib.loads(path.read_text())["rollout"]["automatic"] is False
    monkeypatch.setenv("ROLLOUT_POLICY_PATH", str(path))
    assert "the policy's `automatic` is false" in scene.skipped()


@pytest.mark.parametrize(
    ("broken", "why"),
    [("alpha = 2.0", r"\$.evidence.alpha"), ("", "No such file"), ("[", "")],
    ids=["alpha", "no", "toml"],
)
def test_a_policy_that_cannot_be_used_is_named(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: str, why: str
) -> None:
    path = tmp_path / "policy.toml"
    if broken:
        path.write_text(SHIPPED.read_text().replace("alpha = 0.05", broken, 1))
    monkeypatch.setenv("ROLLOUT_POLICY_PATH", str(path))
    with pytest.raises(dg.Failure, match=rf"{path} \(ROLLOUT_POLICY_PATH\): .*{why}"):
        scene.tick()


def test_people_hold_release_and_approve_by_jobs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not scene.say(hold_rollout).success, "nothing is on trial"
    scene.challenger_is(2, monkeypatch)
    assert begin_trial.execute_in_process(instance=scene.instance).success
    held = scene.say(hold_rollout, "lunch")
    assert held.success
    assert scene.state.trial is not None
    assert scene.state.trial.held == f"dagster:{held.run_id}: lunch"
    assert scene.say(approve_rollout).success
    assert scene.say(release_rollout).success
    assert scene.state.trial.held == ""
    assert scene.state.trial.approved
    scene.store.change(lambda s: set_weight(s, 100, **BY))
    assert not scene.say(approve_rollout).success
