"""Arms that fail in ways a real Triton cannot be made to: the answer, the charge, the trip."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.contracts.split import place
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import start_canary
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CANARY,
    CONTRACT,
    GIVEN,
    INSTANCE,
    NOW,
    TWO,
    GatewayProcess,
    arm_of,
    gateway_process,
    many,
    predictions,
    publish_state,
    put_all_views,
    serve,
    shipped,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("nan", "invalid"),
        ("shape", "invalid"),
        ("bytes", "invalid"),
        ("upgrade", "error"),
        ("error", "error"),
        ("close", "error"),
        ("hang", "timeout"),
    ],
)
def test_a_failing_canary_is_answered_by_the_baseline_within_the_deadline(
    fault: str, kind: str, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, CANARY)
    triton_stand_in.faults["delay_v2"] = fault
    answer = gateway.predict(many(40))
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() < 1.0
    rows = answer.json()["predictions"]
    assert {(p["arm"], p["version"], p["score"]) for p in rows} == {("baseline", "1", 0.25), ("control", "1", 0.25)}
    fallbacks = sum(p.get("fallback_from") == "canary" for p in rows)
    assert 0 < fallbacks < 40
    wait_for(lambda: len(predictions(redis_url)) == 40)
    assert sum(r.fallback_from == "canary" for r in predictions(redis_url)) == fallbacks
    name = f'serving_app_request_exceptions_total{{kind="{kind}",model_variant="canary"}}'
    assert gateway.metric(name) == 1
    assert gateway.metric("serving_app_fallbacks_total") == fallbacks


@pytest.mark.parametrize(("fault", "status"), [("error", 503), ("nan", 503), ("hang", 504)])
def test_a_failing_baseline_is_said_clearly(
    fault: str, status: int, gateway: GatewayProcess, triton_stand_in: FaultyTriton
) -> None:
    triton_stand_in.faults["delay_v1"] = fault
    answer = gateway.predict(INSTANCE)
    assert answer.status_code == status
    assert "baseline" in answer.json()["error"]["message"]
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(("fault", "outcome"), [("error", "error"), ("bytes", "invalid")])
def test_a_failing_shadow_touches_no_answer(
    fault: str, outcome: str, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, shadow=TWO, shadow_fraction=1.0))
    triton_stand_in.faults["delay_v2"] = fault
    for _ in range(15):
        assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "baseline"
    wait_for(lambda: any(isinstance(r, PairedRecord) and r.paired.outcome == outcome for r in shipped(redis_url)))
    assert gateway.health()["trip"] is None


def test_the_reflex_stops_the_canary_here_and_in_the_store(
    gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, weight_bp=10_000))
    triton_stand_in.faults["delay_v2"] = "error"
    rows = [gateway.predict(INSTANCE).json()["predictions"][0] for _ in range(15)]
    assert ["fallback_from" in row for row in rows] == [True] * 6 + [False] * 9
    store = RolloutStore.connect(redis_url)
    wait_for(lambda: store.read().phase == "rolled_back")  # type: ignore[union-attr]
    state = store.read()
    assert state is not None
    assert state.canary_weight_bp == 0
    assert state.actor.startswith("gateway:")
    assert state.reason == "6 of the last 6 canary requests failed"
    assert len(store.wait_until_served(state, timeout_s=2)) == 1
    triton_stand_in.faults.clear()
    again = store.change(
        lambda s: start_canary(s, arm_of(TWO), weight_bp=10_000, shadow_fraction=0, actor="t", reason="fixed", now=NOW)
    )
    store.wait_until_served(again, timeout_s=2)
    wait_for(lambda: gateway.health()["canary_weight_bp"] == 10_000)  # a later state may name the model again
    assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "canary"


def test_a_disk_that_refuses_does_not_keep_the_canary_going(
    redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    triton_stand_in.faults["delay_v2"] = "error"
    store = publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=10_000), CONTRACT, TWO)
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway/trips").write_text("a file where the folder belongs: neither written nor deleted in")
    with gateway_process(tmp_path, redis_url, triton_stand_in.address) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        body = {"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}
        rows = [gateway.predict(body).json()["predictions"][0] for _ in range(12)]
        assert ["fallback_from" in row for row in rows] == [True] * 6 + [False] * 6
        wait_for(lambda: store.read().phase == "rolled_back")  # type: ignore[union-attr]
        wait_for(lambda: gateway.health()["generation"] == 2)
        assert gateway.process.poll() is None


def test_a_timeout_is_charged_only_where_the_canary_had_time(
    redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    triton_stand_in.faults["delay_v2"] = "hang"
    store = publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=10_000), CONTRACT, TWO)
    with (
        redis.Redis.from_url(redis_url) as client,
        gateway_process(tmp_path, redis_url, triton_stand_in.address, GATEWAY_DEADLINE_MS="1000") as gateway,
        ThreadPoolExecutor(12) as pool,
    ):
        put_all_views(client)
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        wait_for(lambda: gateway.predict(INSTANCE).status_code == 200)  # connected, and the clock is known
        client.client_pause(700)  # the feature read takes most of the deadline
        answers = list(pool.map(lambda _: gateway.predict(INSTANCE), range(12)))
        assert {a.json()["predictions"][0]["fallback_from"] for a in answers if a.status_code == 200} == {"canary"}
        assert gateway.health()["trip"] is None
        assert store.read().canary_weight_bp == 10_000  # type: ignore[union-attr]
        list(pool.map(lambda _: gateway.predict(INSTANCE), range(12)))  # one stall, however many met it
        assert store.read().canary_weight_bp == 10_000  # type: ignore[union-attr]
        for _ in range(6):
            gateway.predict(INSTANCE)
        # a trip is forgotten here as soon as the store has it
        wait_for(lambda: store.read().canary_weight_bp == 0)  # type: ignore[union-attr]
        assert store.read().actor.startswith("gateway:")  # type: ignore[union-attr]


def test_reflex_off_leaves_the_canary_alone(redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path) -> None:
    triton_stand_in.faults["delay_v2"] = "error"
    store = publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=10_000), CONTRACT, TWO)
    with gateway_process(tmp_path, redis_url, triton_stand_in.address, REFLEX="off") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        body = {"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}
        rows = [gateway.predict(body).json()["predictions"][0] for _ in range(30)]
        assert all(row["fallback_from"] == "canary" for row in rows)
        assert gateway.health()["trip"] is None
    assert store.read().canary_weight_bp == 10_000  # type: ignore[union-attr]


def test_a_full_spool_is_counted_and_answers_go_on(
    redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    with gateway_process(tmp_path, redis_url, triton_stand_in.address, GATEWAY_SPOOL_MAX_BYTES="1") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        body = {"instances": [{"features": GIVEN}] * 3, "event_time": "2013-05-01T12:00:00Z"}
        assert gateway.predict(body).status_code == 200
        assert gateway.metric("serving_app_spool_dropped_records_total") == 3


def test_where_the_baseline_fails_too_the_canary_is_not_charged(
    gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, weight_bp=10_000))
    triton_stand_in.faults = {"delay_v1": "error", "delay_v2": "error"}
    assert {gateway.predict(INSTANCE).status_code for _ in range(15)} == {503}
    assert gateway.health()["trip"] is None
    triton_stand_in.faults.clear()
    assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "canary"


def test_a_hanging_canary_does_not_keep_the_baseline_waiting(
    redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path
) -> None:
    publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=4000), CONTRACT, TWO)
    triton_stand_in.faults["delay_v2"] = "hang"
    key_of = {place("drift", str(n), 4000): str(n) for n in range(50)}
    body = {"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}
    with (
        gateway_process(tmp_path, redis_url, triton_stand_in.address, GATEWAY_DEADLINE_MS="4000") as gateway,
        ThreadPoolExecutor(32) as pool,
    ):
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        hanging = [pool.submit(gateway.predict, body, **{"x-routing-key": key_of["canary"]}) for _ in range(32)]
        wait_for(lambda: triton_stand_in.asked["delay_v2"] > 0)
        answer = gateway.predict(body, **{"x-routing-key": key_of["baseline"]})
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 1.0  # the canary's share of the deadline is 2 s
        assert {h.result().status_code for h in hanging} == {200}
