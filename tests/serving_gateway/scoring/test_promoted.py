"""A promoted model answers everything, and the old one is a baseline still: it scores beside it, and answers for it."""

import pytest

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.steps import begin_trial
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CONTRACT,
    NOW,
    TWO,
    GatewayProcess,
    arm_of,
    many,
    predictions,
    serve,
    shipped,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration
BY = {"actor": "test", "reason": "test", "now": NOW}


@pytest.fixture
def promoted(gateway: GatewayProcess, redis_url: str) -> RolloutState:
    stable = state_of(CONTRACT)
    state = begin_trial(stable, arm_of(TWO), weight_bp=10_000, shadow_fraction=0.0, event_time=NOW, **BY)
    serve(redis_url, gateway, state)
    assert (state.phase, state.arms.baseline) == ("promoted", arm_of(CONTRACT))
    return state


def test_every_key_is_the_promoted_models_and_the_old_one_scores_each_row_beside_it(
    promoted: RolloutState, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    triton_stand_in.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
    answers = [gateway.predict(many(3), **{"x-routing-key": str(key)}).json() for key in range(20)]
    rows = [row for answer in answers for row in answer["predictions"]]
    assert {(row["arm"], row["score"]) for row in rows} == {("canary", 0.75)}
    wait_for(lambda: len(paired(redis_url)) == 60)
    assert {(r.paired.arm, r.paired.score) for r in paired(redis_url)} == {("baseline", 0.25)}
    assert {r.prediction_id for r in paired(redis_url)} == {row["prediction_id"] for row in rows}


def paired(redis_url: str) -> list[PairedRecord]:
    return [record for record in shipped(redis_url) if isinstance(record, PairedRecord)]


def test_where_it_fails_the_old_one_answers_and_it_is_stopped(
    promoted: RolloutState, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    triton_stand_in.faults["delay_v2"] = "error"
    answers = [gateway.predict(many(1)) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {200}
    rows = [answer.json()["predictions"][0] for answer in answers]
    assert rows[0]["fallback_from"] == "canary"
    assert {row["arm"] for row in rows} == {"baseline"}
    store = RolloutStore.connect(redis_url)
    wait_for(lambda: store.read().phase == "rolled_back")  # type: ignore[union-attr]
    assert store.read().arms.baseline == arm_of(CONTRACT)  # type: ignore[union-attr]


def test_the_way_back_is_a_change_of_weight(
    promoted: RolloutState, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    store = RolloutStore.connect(redis_url)
    store.wait_until_served(store.change(lambda s: rolled_back(s, **BY)), timeout_s=2)
    assert gateway.predict(many(1)).json()["predictions"][0]["arm"] == "baseline"
    wait_for(lambda: len(predictions(redis_url)) == 1)
    assert triton_stand_in.asked["delay_v2"] == 0
