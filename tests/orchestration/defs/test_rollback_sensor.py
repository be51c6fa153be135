"""The sensor between a failed verdict and the rollback run, on a real Redis and an instance that holds real checks."""

from datetime import UTC, datetime
from typing import cast

import dagster as dg
import pytest

from orchestration.defs.rollout import TRIAL_TAG, rollback, rollback_on_failed_verdict
from orchestration.defs.verdicts import CANARY_CHECK, failed_verdicts, verdict_metadata
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CriterionResult, Outcome, Verdict
from serving_gateway.contracts.rollout import Arm
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, set_weight, start_canary

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": datetime(2013, 5, 1, tzinfo=UTC)}


def arm(version: int) -> Arm:
    return Arm(model="m", version=str(version), triton_model=f"m_v{version}", contract_digest="d")


def worse(outcome: Outcome) -> Verdict:
    loss = CriterionResult("loss", outcome, "worse", 3, 0.1, 200.0, 0.5, 7)
    return Verdict(outcome, "worse", (CriterionResult("errors", "inconclusive", "no row"), loss))


@dg.asset(name="canary_verdict", check_specs=[dg.AssetCheckSpec(CANARY_CHECK.name, asset="canary_verdict")])
def verdict(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """A verdict as its tags say."""
    tags = context.run.tags
    found = worse(cast("Outcome", tags["outcome"]))
    metadata = verdict_metadata(Trial("m_v2", 1, int(tags["generation"])), found)
    check = dg.AssetCheckResult(check_name=CANARY_CHECK.name, passed=tags["outcome"] == "pass", metadata=metadata)
    return dg.MaterializeResult(check_results=[check])


class Scene:
    """A store with a canary under way, an instance, and the sensor's ticks."""

    def __init__(self, url: str) -> None:
        self.store = RolloutStore.connect(url)
        self.instance = dg.DagsterInstance.ephemeral()
        self.store.write(first_state(arm(1), **BY), None)
        self.start_canary()

    def start_canary(self) -> None:
        self.store.change(lambda s: start_canary(s, arm(2), weight_bp=1000, shadow_fraction=1.0, **BY))

    def judged(self, outcome: str) -> str:
        state = self.store.read()
        assert state is not None
        tags = {"outcome": outcome, "generation": str(state.generation)}
        return dg.materialize([verdict], instance=self.instance, tags=tags).run_id

    def tick(self) -> dg.RunRequest | dg.SkipReason:
        found = rollback_on_failed_verdict(dg.build_sensor_context(instance=self.instance))
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found


@pytest.fixture
def scene(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return Scene(redis_url)


@pytest.mark.parametrize("outcome", ["pass", "inconclusive", "error"])
def test_only_a_failure_requests_a_rollback(scene: Scene, outcome: str) -> None:
    assert isinstance(scene.tick(), dg.SkipReason)
    scene.judged(outcome)
    assert isinstance(scene.tick(), dg.SkipReason)


def test_a_failure_requests_one_run_on_the_trial_that_it_convicts(scene: Scene) -> None:
    failed = scene.judged("fail")
    asked = scene.tick()
    assert isinstance(asked, dg.RunRequest)
    trial = {"canary": "m_v2", "epoch": 1, "generation": 2}
    assert asked.run_config["ops"]["roll_back_canary"]["config"] == {"reason": "worse", "trial": trial}
    assert asked.tags["drift/verdict_run"] == failed
    again = scene.tick()
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == asked.run_key, "the daemon launches a run key once"


def test_a_failed_verdict_is_read_back_as_it_was_written(scene: Scene) -> None:
    run_id = scene.judged("fail")
    (failed,) = failed_verdicts(scene.instance)
    assert (failed.run_id, failed.trial) == (run_id, Trial("m_v2", 1, 2))
    written, found = worse("fail"), failed.verdict
    assert (found.outcome, found.reason) == (written.outcome, written.reason)
    assert found.criterion("loss") == written.criterion("loss")
    assert repr(found.criterion("errors")) == repr(written.criterion("errors")), "NaN is not equal to itself"


@pytest.mark.parametrize("metadata", [{}, {"outcome": "fail"}, {"outcome": "fail", "canary": "m_v2", "epoch": "x"}])
def test_an_evaluation_that_is_not_ours_stops_no_tick(scene: Scene, metadata: dict[str, str]) -> None:
    foreign = dg.AssetCheckEvaluation(CANARY_CHECK.asset_key, CANARY_CHECK.name, passed=False, metadata=metadata)
    scene.instance.report_runless_asset_event(foreign)
    assert isinstance(scene.tick(), dg.SkipReason)
    scene.judged("fail")
    assert isinstance(scene.tick(), dg.RunRequest)


def test_a_later_verdict_does_not_hide_the_failure(scene: Scene) -> None:
    scene.judged("fail")
    scene.judged("error")
    queued = scene.instance.create_run_for_job(dg.Definitions(assets=[verdict]).resolve_implicit_global_asset_job_def())
    latest = scene.instance.event_log_storage.get_latest_asset_check_execution_by_key([CANARY_CHECK])[CANARY_CHECK]
    assert latest.run_id == queued.run_id
    assert isinstance(scene.tick(), dg.RunRequest)


def test_a_failure_does_not_convict_a_new_trial_of_the_same_model(scene: Scene) -> None:
    scene.judged("fail")
    scene.store.change(lambda s: rolled_back(s, **BY))
    assert isinstance(scene.tick(), dg.SkipReason)
    scene.start_canary()
    assert isinstance(scene.tick(), dg.SkipReason)


def test_a_rollback_run_under_way_is_waited_for_and_a_failed_one_requested_again(scene: Scene) -> None:
    scene.judged("fail")
    asked = scene.tick()
    assert isinstance(asked, dg.RunRequest)
    run = scene.instance.create_run_for_job(rollback, tags=dict(asked.tags), run_config=asked.run_config)
    waiting = scene.tick()
    assert isinstance(waiting, dg.SkipReason)
    assert "under way" in str(waiting.skip_message)
    scene.instance.report_run_failed(run)
    retried = scene.tick()
    assert isinstance(retried, dg.RunRequest)
    assert retried.run_key != asked.run_key
    assert retried.tags[TRIAL_TAG] == "1:2"


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_job_takes_the_traffic_and_names_its_run(scene: Scene, by_hand: bool) -> None:
    trial = {"canary": "m_v2", "epoch": 1, "generation": 2}
    config = {"reason": "worse"} | ({} if by_hand else {"trial": trial})
    done = rollback.execute_in_process(
        run_config={"ops": {"roll_back_canary": {"config": config}}}, instance=scene.instance
    )
    state = scene.store.read()
    assert state is not None
    assert (state.canary_weight_bp, state.phase, state.reason) == (0, "rolled_back", "worse")
    assert state.actor == f"dagster:job:rollback:{done.run_id}"
    assert Trial.of(state) is None


def test_the_job_by_hand_ends_a_canary_that_waits_without_a_share(scene: Scene) -> None:
    scene.store.change(lambda s: start_canary(s, arm(2), weight_bp=1000, shadow_fraction=0.0, **BY))
    scene.store.change(lambda s: set_weight(s, 0, **BY))
    rollback.execute_in_process(instance=scene.instance)
    state = scene.store.read()
    assert state is not None
    assert state.phase == "rolled_back"


def test_the_job_leaves_a_rollout_alone_that_has_moved_on(scene: Scene) -> None:
    trial = {"canary": "m_v2", "epoch": 1, "generation": 1}
    config = {"reason": "worse", "trial": trial}
    before = scene.store.read()
    rollback.execute_in_process(run_config={"ops": {"roll_back_canary": {"config": config}}}, instance=scene.instance)
    assert scene.store.read() == before
