"""Changes of the rollout against a real Redis."""

from datetime import UTC, datetime

import pytest

from orchestration.rollout.act import SignatureMismatchError, roll_back, serve_baseline, serve_canary
from orchestration.rollout.trial import Trial
from serving_gateway.contracts import Arm, Input, ModelContract, RequestField
from serving_gateway.control.store import NoRolloutError, RolloutStore

pytestmark = pytest.mark.integration
NOW = datetime(2013, 5, 1, tzinfo=UTC)
BY = {"actor": "test", "now": NOW}


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return RolloutStore.connect(redis_url)


def arm(store: RolloutStore, version: int, *inputs: str) -> Arm:
    contract = ModelContract(
        model="m", version=str(version), views=(), feature_service="m", project="p", decision_threshold=0.5,
        training_start="", training_end="", mlflow_run_id="r", artifact_digest=str(version),
        inputs=tuple(Input(name=name, dtype="float32", source=RequestField(name)) for name in inputs or ("a", "b")),
    )  # fmt: skip
    return Arm(
        model="m", version=str(version), triton_model=f"m_v{version}", contract_digest=store.put_contract(contract)
    )


def test_the_first_baseline_makes_the_first_state_and_the_next_follows_it(store: RolloutStore) -> None:
    first = serve_baseline(store, arm(store, 1), **BY)
    assert first.position == (1, 1)
    assert serve_baseline(store, arm(store, 2), **BY).position == (1, 2)
    assert [s.generation for s in store.history()] == [2, 1]


def test_a_canary_gets_its_share_and_shadows(store: RolloutStore) -> None:
    serve_baseline(store, arm(store, 1), **BY)
    state = serve_canary(store, arm(store, 2), weight=0.1, shadow_fraction=0.5, **BY)
    assert (state.phase, state.canary_weight_bp, state.shadow_fraction) == ("canary", 1000, 0.5)
    assert state.arms.shadow == state.arms.canary


def test_a_canary_of_another_signature_is_refused_with_the_fields(store: RolloutStore) -> None:
    before = serve_baseline(store, arm(store, 1), **BY)
    with pytest.raises(SignatureMismatchError, match=r"m_v2 reads other inputs than m_v1: b, c"):
        serve_canary(store, arm(store, 2, "a", "c"), weight=0.1, shadow_fraction=1.0, **BY)
    with pytest.raises(SignatureMismatchError, match="their order"):
        serve_canary(store, arm(store, 3, "b", "a"), weight=0.1, shadow_fraction=1.0, **BY)
    assert store.read() == before


def test_without_a_weight_it_shadows_and_is_on_trial(store: RolloutStore) -> None:
    serve_baseline(store, arm(store, 1), **BY)
    state = serve_canary(store, arm(store, 2), weight=0, shadow_fraction=1.0, **BY)
    assert (state.phase, state.canary_weight_bp, state.reason) == ("shadow", 0, "try m_v2 as a shadow")
    trial = Trial.of(state)
    assert trial == Trial("m_v2", 1, 2)
    done = roll_back(store, trial, reason="worse", actor="test")
    assert (done.changed, done.state.phase, done.state.arms.shadow) == (True, "rolled_back", None)
    assert Trial.of(done.state) is None


def test_a_model_with_nothing_to_do_is_refused(store: RolloutStore) -> None:
    before = serve_baseline(store, arm(store, 1), **BY)
    with pytest.raises(ValueError, match="nothing to do"):
        serve_canary(store, arm(store, 2), weight=0, shadow_fraction=0, **BY)
    assert store.read() == before


@pytest.mark.parametrize("weight", [-0.1, 1.1, 0.00001, float("nan")])
def test_a_weight_that_is_no_share_is_refused(store: RolloutStore, weight: float) -> None:
    before = serve_baseline(store, arm(store, 1), **BY)
    with pytest.raises(ValueError, match="weight must be 0 to 1"):
        serve_canary(store, arm(store, 2), weight=weight, shadow_fraction=1.0, **BY)
    assert store.read() == before


def test_nothing_can_be_tried_before_there_is_a_baseline(store: RolloutStore) -> None:
    with pytest.raises(NoRolloutError):
        serve_canary(store, arm(store, 2), weight=0.1, shadow_fraction=1.0, **BY)


def test_a_rollback_takes_the_traffic_of_the_trial_it_names_and_of_no_other(store: RolloutStore) -> None:
    serve_baseline(store, arm(store, 1), **BY)
    state = serve_canary(store, arm(store, 2), weight=0.1, shadow_fraction=1.0, **BY)
    trial = Trial.of(state)
    assert trial is not None
    done = roll_back(store, trial, reason="worse", actor="test")
    assert done.changed
    assert (done.state.canary_weight_bp, done.state.shadow_fraction, done.state.phase) == (0, 0.0, "rolled_back")
    restarted = serve_canary(store, arm(store, 2), weight=0.1, shadow_fraction=1.0, **BY)
    assert not roll_back(store, trial, reason="worse", actor="late").changed
    assert store.read() == restarted
