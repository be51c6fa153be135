"""Following the rollout through refusals, outages and deaths."""

import json
import signal
from pathlib import Path

import msgspec
import pytest
import redis

from serving_gateway.contracts.prediction_log import decode_record, read_frames
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back
from tests.servers import redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CANARY,
    CONTRACT,
    GIVEN,
    INSTANCE,
    NOW,
    TWO,
    GatewayProcess,
    gateway_process,
    many,
    predictions,
    publish_state,
    put_all_views,
    serve,
    state_of,
    version,
    wait_for,
)

pytestmark = pytest.mark.integration


def test_a_canary_with_another_signature_is_refused_with_the_reason(gateway: GatewayProcess, redis_url: str) -> None:
    other = version(3, inputs=(msgspec.structs.replace(CONTRACT.inputs[0], vocabulary=("AA",)), *CONTRACT.inputs[1:]))
    store = RolloutStore.connect(redis_url)
    store.put_contract(other)
    serve(redis_url, gateway, state_of(CONTRACT, other, weight_bp=10_000))
    health = gateway.health()
    assert health["canary_weight_bp"] == 0
    assert health["refused"] == {"canary": "delay_v3: inputs[0] (s_carrier): vocabulary differs from the baseline's"}
    assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "baseline"
    assert gateway.metric('serving_app_arm_refused{model_variant="canary"}') == 1
    assert store.acknowledgements()[0].canary_weight_bp == 0


def test_an_older_generation_is_ignored(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, CANARY)
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, msgspec.json.encode(state_of(CONTRACT)))
        client.publish(keys.CHANGED, msgspec.json.encode(state_of(CONTRACT)))
    store = RolloutStore.connect(redis_url)
    seen = store.acknowledgements()[0].seen_at
    wait_for(lambda: store.acknowledgements()[0].seen_at > seen + 1)
    assert gateway.health()["generation"] == 2


def test_redis_away_given_features_are_answered_and_nothing_is_lost(
    tmp_path: Path, triton_stand_in: FaultyTriton
) -> None:
    with redis_server(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            put_all_views(client)
        publish_state(server.url, CANARY, CONTRACT, TWO)
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            server.process.terminate()
            server.process.wait()
            answer = gateway.predict(INSTANCE)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "online store" in answer.json()["error"]["message"]
            ids = {gateway.predict({"features": GIVEN}).json()["predictions"][0]["prediction_id"] for _ in range(20)}
            assert len(ids) == 20
            assert gateway.client.get("/ready").status_code == 200
        # a gateway that starts while Redis is down serves its last known good
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g2") as late:
            assert late.health()["generation"] == 1
            assert late.predict({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).status_code == 200
            assert "clock is not set" in late.predict({"features": GIVEN}).text
            with redis_server(tmp_path / "redis", port=server.port):
                wait_for(lambda: ids <= {r.prediction_id for r in predictions(server.url)}, timeout_s=10)


def test_a_trip_while_redis_is_away_is_written_by_the_next_life(tmp_path: Path, triton_stand_in: FaultyTriton) -> None:
    state = state_of(CONTRACT, TWO, weight_bp=10_000)
    with redis_server(tmp_path / "redis", "--appendonly", "yes") as server:
        store = publish_state(server.url, state, CONTRACT, TWO)
        triton_stand_in.faults["delay_v2"] = "nan"
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            server.process.terminate()
            server.process.wait()
            rows = [
                gateway.predict({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).json() for _ in range(11)
            ]
            assert "fallback_from" not in rows[10]["predictions"][0]
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as again:
            assert again.health()["canary_weight_bp"] == 0
            with redis_server(tmp_path / "redis", "--appendonly", "yes", port=server.port):
                wait_for(lambda: store.read().phase == "rolled_back", timeout_s=10)  # type: ignore[union-attr]
                wait_for(lambda: not (tmp_path / "gateway/trips/g1.json").exists())


def test_killed_at_once_after_the_answer_the_record_is_in_the_spool(
    gateway: GatewayProcess, redis_url: str, tmp_path: Path
) -> None:
    answers = [gateway.predict(many(5)).json() for _ in range(4)]
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()
    answered = {p["prediction_id"] for a in answers for p in a["predictions"]}
    frames = [f for path in tmp_path.glob("gateway/spool/*/*.seg") for f in read_frames(path.read_bytes())[0]]
    assert answered == {decode_record(f).prediction_id for f in frames}


def test_sigterm_drains_and_exits_cleanly(gateway: GatewayProcess) -> None:
    assert gateway.predict(INSTANCE).status_code == 200
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(timeout=10) == 0


def test_a_rollback_reaches_the_gateway_by_push(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, CANARY)
    store = RolloutStore.connect(redis_url)
    state = store.change(lambda s: rolled_back(s, actor="t", reason="r", now=NOW))
    store.wait_until_served(state, timeout_s=2)
    assert gateway.health()["generation"] == state.generation
    assert json.loads(gateway.client.get("/rollout").text)["canary_weight_bp"] == 0
