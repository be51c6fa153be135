"""A gateway process with real Redis; the stand-in for Triton only where a real one cannot misbehave."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis

from serving_gateway.contracts.prediction import LogRecord, PairedRecord, PredictionRecord
from serving_gateway.contracts.prediction_log import StreamBatch, decode_record, read_frames
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back, start_canary
from tests.servers import free_port, redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    EVENT_TIME_US,
    GIVEN,
    INSTANCE,
    NOW,
    GatewayProcess,
    arm_of,
    gateway_process,
    publish_state,
    put_all_views,
    state_of,
    version,
    wait_for,
)

pytestmark = pytest.mark.integration
TWO = version(2)
CANARY = state_of(CONTRACT, TWO, weight_bp=5000)


@pytest.fixture
def triton_stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as server:
        server.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        yield server


@pytest.fixture
def gateway(redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path) -> Iterator[GatewayProcess]:
    with redis.Redis.from_url(redis_url) as client:
        put_all_views(client)
    publish_state(redis_url, state_of(CONTRACT), CONTRACT, TWO)
    with gateway_process(tmp_path, redis_url, triton_stand_in.address) as found:
        wait_for(lambda: found.client.get("/ready").status_code == 200)
        yield found


def serve(redis_url: str, gateway: GatewayProcess, state: RolloutState) -> None:
    store = publish_state(redis_url, msgspec.structs.replace(state, generation=2), CONTRACT, TWO)
    current = store.read()
    assert current is not None
    store.wait_until_served(current, timeout_s=5)
    wait_for(lambda: gateway.health()["generation"] == current.generation)


def shipped(redis_url: str) -> list[LogRecord]:
    with redis.Redis.from_url(redis_url) as client:
        entries = client.xrange(keys.PREDICTIONS)
    return [r for _, fields in entries for r in StreamBatch.from_fields(fields).decoded()]  # type: ignore[union-attr]


def predictions(redis_url: str) -> list[PredictionRecord]:
    return [r for r in shipped(redis_url) if isinstance(r, PredictionRecord)]


def many(n: int) -> dict[str, object]:
    return {"instances": [INSTANCE | {"tailnum": f"N{i}"} for i in range(n)]}


def test_by_entities_and_given_in_one_request_with_the_record(gateway: GatewayProcess, redis_url: str) -> None:
    document = {"instances": [INSTANCE, {"features": GIVEN}], "request_id": "mine"}
    answer = gateway.predict(document)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["request_id"], body["epoch"], body["generation"]) == ("mine", 1, 1)
    first, second = body["predictions"]
    assert (first["arm"], first["model"], first["version"], first["score"], first["decision"]) == (
        "baseline", "delay", "1", 0.25, False,
    )  # fmt: skip
    assert "fallback_from" not in first
    wait_for(lambda: len(predictions(redis_url)) == 2)
    by_entity, given = predictions(redis_url)
    assert [by_entity.prediction_id, given.prediction_id] == [first["prediction_id"], second["prediction_id"]]
    assert by_entity.vector == [1, 3, 1089, 9.5, 10, 1, 0.25]
    assert [(v.view, v.status) for v in by_entity.views] == [
        ("weather", "present"),
        ("tail", "present"),
        ("board", "present"),
    ]
    assert by_entity.event_time_us == given.event_time_us == EVENT_TIME_US
    assert by_entity.contract_digest == CONTRACT.digest
    assert by_entity.entities == {"origin": "JFK", "tailnum": "N1"}
    assert given.vector[:4] == [1, 3, 1089, 10]
    assert given.vector[4] != given.vector[4]
    assert given.views == []
    assert by_entity.latency_us > 0


def test_errors_have_one_shape_and_the_right_status(gateway: GatewayProcess) -> None:
    refused = gateway.predict({"instances": [INSTANCE, INSTANCE | {"origin": 5}]})
    assert refused.status_code == 400
    assert refused.json() == {"error": {"path": "$.instances[1].origin", "message": "Expected `str`, got `int`"}}
    assert gateway.client.get("/nowhere").status_code == 404
    wrong = gateway.client.get("/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"]["path"] == "$"
    assert gateway.predict("x" * 9_000_000).status_code == 413


def test_the_split_is_sticky_and_of_the_asked_share(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, CANARY)
    first = [p["arm"] for p in gateway.predict(many(400)).json()["predictions"]]
    assert first == [p["arm"] for p in gateway.predict(many(400)).json()["predictions"]]
    assert 150 < Counter(first)["canary"] < 250
    for key in ("a", "b", "c", "d"):
        arms = {p["arm"] for p in gateway.predict(many(8), **{"x-routing-key": key}).json()["predictions"]}
        assert len(arms) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("nan", "invalid"), ("shape", "invalid"), ("error", "error"), ("close", "error"), ("hang", "timeout")],
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
    assert {(p["arm"], p["version"], p["score"]) for p in rows} == {("baseline", "1", 0.25)}
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


def test_the_shadow_scores_every_row_that_its_model_did_not_answer(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, shadow=TWO, weight_bp=5000, shadow_fraction=1.0))
    rows = gateway.predict(many(100)).json()["predictions"]
    by_baseline = {p["prediction_id"] for p in rows if p["arm"] == "baseline"}
    assert 0 < len(by_baseline) < 100

    def paired() -> list[PairedRecord]:
        return [r for r in shipped(redis_url) if isinstance(r, PairedRecord)]

    wait_for(lambda: len(paired()) >= len(by_baseline))
    assert {r.prediction_id for r in paired()} == by_baseline
    assert {(r.paired.score, r.paired.outcome, r.paired.triton_model) for r in paired()} == {(0.75, "ok", "delay_v2")}
    assert {r.event_time_us for r in paired()} == {EVENT_TIME_US}


def test_a_failing_shadow_touches_no_answer(
    gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, shadow=TWO, shadow_fraction=1.0))
    triton_stand_in.faults["delay_v2"] = "error"
    for _ in range(15):
        assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "baseline"
    wait_for(lambda: any(isinstance(r, PairedRecord) and r.paired.outcome == "error" for r in shipped(redis_url)))
    assert gateway.health()["trip"] is None


def test_the_reflex_stops_the_canary_here_and_in_the_store(
    gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, weight_bp=10_000))
    triton_stand_in.faults["delay_v2"] = "error"
    rows = [gateway.predict(INSTANCE).json()["predictions"][0] for _ in range(15)]
    assert ["fallback_from" in row for row in rows] == [True] * 10 + [False] * 5
    store = RolloutStore.connect(redis_url)
    wait_for(lambda: store.read().phase == "rolled_back")  # type: ignore[union-attr]
    state = store.read()
    assert state is not None
    assert state.canary_weight_bp == 0
    assert state.actor.startswith("gateway:")
    assert state.reason == "10 canary requests failed in a row"
    assert len(store.wait_until_served(state, timeout_s=2)) == 1
    triton_stand_in.faults.clear()
    again = store.change(
        lambda s: start_canary(s, arm_of(TWO), weight_bp=10_000, shadow_fraction=0, actor="t", reason="fixed", now=NOW)
    )
    store.wait_until_served(again, timeout_s=2)
    wait_for(lambda: gateway.health()["canary_weight_bp"] == 10_000)  # a later state may name the model again
    assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "canary"


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


def test_event_time_is_the_replays_or_the_requests(gateway: GatewayProcess, redis_url: str) -> None:
    late = INSTANCE | {"event_time": "2013-05-01T14:00:00Z"}
    assert gateway.predict({"instances": [INSTANCE, late]}).status_code == 200
    wait_for(lambda: len(predictions(redis_url)) == 2)
    now, later = predictions(redis_url)
    assert later.event_time_us - now.event_time_us == 2 * 3600 * 1_000_000
    assert [v.status for v in later.views] == ["expired", "present", "present"]
    assert later.vector[3] != later.vector[3]
    assert later.vector[4] == 130.0


def test_metrics_count_what_happened(gateway: GatewayProcess) -> None:
    gateway.predict(many(3))
    gateway.predict({})
    assert gateway.metric('serving_app_requests_total{model_variant="baseline",outcome="ok"}') == 3
    assert gateway.metric('serving_app_request_latency_seconds_count{model_variant="baseline"}') == 3
    assert gateway.metric('serving_app_feature_views_total{status="missing",view="tail"}') == 2
    assert gateway.metric('serving_app_http_responses_total{route="/predict",status="400"}') == 1
    assert gateway.metric("serving_app_rollout_generation") == 1


def test_wall_clock_refuses_an_event_time(redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path) -> None:
    publish_state(redis_url, state_of(CONTRACT), CONTRACT)
    with gateway_process(tmp_path, redis_url, triton_stand_in.address, EVENT_CLOCK="wall") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        refused = gateway.predict(INSTANCE | {"event_time": "2013-05-01T12:00:00Z"})
        assert (refused.status_code, refused.json()["error"]["path"]) == (400, "$.event_time")
        assert gateway.predict(INSTANCE).status_code == 200


def test_ready_says_what_is_missing(redis_url: str, tmp_path: Path) -> None:
    with gateway_process(tmp_path, redis_url, f"127.0.0.1:{free_port()}") as gateway:
        answer = gateway.client.get("/ready")
        assert (answer.status_code, "publish a model first" in answer.text) == (503, True)
        assert gateway.predict(INSTANCE).status_code == 503
        publish_state(redis_url, state_of(CONTRACT))
        wait_for(lambda: f"contract {CONTRACT.digest}" in gateway.client.get("/ready").text)
        RolloutStore.connect(redis_url).put_contract(CONTRACT)
        wait_for(lambda: "Triton does not have the baseline delay_v1" in gateway.client.get("/ready").text)
        assert gateway.client.get("/rollout").json()["state"]["arms"]["baseline"]["triton_model"] == "delay_v1"


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
