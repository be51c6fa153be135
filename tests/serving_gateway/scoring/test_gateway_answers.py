"""What a gateway answers and logs, by its own Protocol and under an ASGI server: real Redis, a stand-in for Triton."""

from collections import Counter
from pathlib import Path

import pytest

from serving_gateway.contracts.prediction import PairedRecord
from serving_gateway.control.store import RolloutStore
from tests.servers import free_port
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CANARY,
    CONTRACT,
    EVENT_TIME_US,
    GIVEN,
    INSTANCE,
    TWO,
    GatewayProcess,
    gateway_process,
    many,
    predictions,
    publish_state,
    serve,
    shipped,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration


@pytest.fixture(params=[False, True], ids=["protocol", "asgi"])
def under_asgi(request: pytest.FixtureRequest) -> bool:
    """The handlers know no transport: all of this holds under both."""
    return bool(request.param)


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


def test_every_answer_names_the_callers_trace(gateway: GatewayProcess) -> None:
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    answers = [gateway.predict(body, traceparent=trace) for body in (INSTANCE, {}, "x" * 9_000_000)]
    assert [answer.status_code for answer in answers] == [200, 400, 413]
    assert {answer.headers["traceresponse"][:36] for answer in answers} == {trace[:36]}


def test_what_is_asked_by_get_may_be_asked_by_head(gateway: GatewayProcess) -> None:
    answer = gateway.client.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    assert gateway.client.head("/predict").status_code == 405
    assert gateway.client.post("/health").headers["allow"] == "GET, HEAD"


def test_the_split_is_sticky_and_of_the_asked_share(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, CANARY)
    first = [p["arm"] for p in gateway.predict(many(400)).json()["predictions"]]
    assert first == [p["arm"] for p in gateway.predict(many(400)).json()["predictions"]]
    assert 150 < Counter(first)["canary"] < 250
    for arm, rows in Counter(first).items():  # each row was scored by its arm alone
        assert gateway.metric(f'serving_app_requests_total{{model_variant="{arm}",outcome="ok"}}') == 2 * rows
    for key in ("a", "b", "c", "d"):
        arms = {p["arm"] for p in gateway.predict(many(8), **{"x-routing-key": key}).json()["predictions"]}
        assert len(arms) == 1


def test_every_row_is_scored_in_the_background_by_the_model_that_did_not_answer_it(
    gateway: GatewayProcess, redis_url: str
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, shadow=TWO, weight_bp=3000, shadow_fraction=1.0))
    rows = gateway.predict(many(100)).json()["predictions"]
    by_canary = {p["prediction_id"] for p in rows if p["arm"] == "canary"}
    assert {p["arm"] for p in rows} == {"baseline", "control", "canary"}
    assert 10 < len(by_canary) < 60

    def paired() -> list[PairedRecord]:
        return [r for r in shipped(redis_url) if isinstance(r, PairedRecord)]

    wait_for(lambda: len(paired()) >= 100)
    assert {r.prediction_id for r in paired()} == {p["prediction_id"] for p in rows}
    assert {r.prediction_id for r in paired() if r.paired.arm == "baseline"} == by_canary
    found = {(r.paired.arm, r.paired.score, r.paired.outcome, r.paired.triton_model) for r in paired()}
    assert found == {("shadow", 0.75, "ok", "delay_v2"), ("baseline", 0.25, "ok", "delay_v1")}
    assert {r.event_time_us for r in paired()} == {EVENT_TIME_US}


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
        assert gateway.metric("serving_app_ready") == 0
        assert 0 < gateway.metric("serving_app_disk_free_bytes") <= gateway.metric("serving_app_disk_size_bytes")
