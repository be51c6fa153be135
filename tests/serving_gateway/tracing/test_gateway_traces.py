"""What a gateway's collector is told, by the official protobuf: real Redis, a stand-in for Triton."""

import re
from itertools import pairwise

import pytest

from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CANARY,
    CONTRACT,
    GIVEN,
    INSTANCE,
    TWO,
    GatewayProcess,
    many,
    predictions,
    serve,
    state_of,
    wait_for,
)
from tests.serving_gateway.tracing.collector import Collector, Seen
from tests.serving_gateway.tracing.conftest import Start

pytestmark = pytest.mark.integration

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, NOT_SAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
INTERNAL, SERVER, CLIENT = 1, 2, 3
ERROR = 2


def trace_of(answer: object) -> tuple[str, str, str]:
    """Trace id, span id, flags of an answer."""
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])", answer.headers["traceresponse"])  # type: ignore[attr-defined]
    assert found
    return found[1], found[2], found[3]


def tree(spans: Collector, trace_id: str, names: set[str]) -> dict[str, Seen]:
    """The spans of a trace by name, once those of `names` are there; children of the request's, and within it."""
    wait_for(lambda: names <= {s.name for s in spans.of(trace_id)})
    found = {s.name: s for s in spans.of(trace_id)}
    assert set(found) == names
    assert len(found) == len(spans.of(trace_id))
    (root,) = [s for s in found.values() if s.kind == SERVER]
    for s in found.values():
        if s is not root:
            assert s.parent == root.span_id
            assert root.began <= s.began <= s.ended <= root.ended
    return found


def test_a_request_by_entities_is_one_tree(gateway: GatewayProcess, spans: Collector, stand_in: FaultyTriton) -> None:
    answer = gateway.predict(many(3) | {"request_id": "mine"}, traceparent=SAMPLED)
    assert trace_of(answer)[::2] == (TRACE, "01")
    found = tree(spans, TRACE, {"POST /predict", "features.read", "triton.infer", "log.append"})
    root, read, infer, append = found.values()
    assert (root.name, root.parent, root.span_id) == ("POST /predict", PARENT, trace_of(answer)[1])
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "url.path": "/predict",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "drift.request_id": "mine",
        "drift.rows": 3,
        "drift.arm": ["baseline"],
        "drift.model": ["delay_v1"],
        "drift.prediction_id": [row["prediction_id"] for row in answer.json()["predictions"]],
        "drift.fallback": False,
        "drift.degraded": False,
    }
    assert (read.name, read.kind) == ("features.read", CLIENT)
    assert read.attributes == {"db.system.name": "redis", "drift.batch.requests": 1, "drift.batch.rows": 3}
    assert (infer.name, infer.kind) == ("triton.infer", CLIENT)
    assert infer.attributes == {"drift.arm": "baseline", "drift.model": "delay_v1", "drift.batch.rows": 3}
    assert (append.name, append.kind, append.attributes) == ("log.append", INTERNAL, {"drift.batch.records": 3})
    assert all(one.ended <= other.began for one, other in pairwise((read, infer, append)))
    assert stand_in.traceparents[-1] == f"00-{TRACE}-{infer.span_id}-01"
    assert root.resource["service.name"] == "serving_gateway"
    assert root.resource["service.instance.id"] == gateway.health()["gateway"]
    assert set(spans.paths) == {"/v1/traces"}


def test_who_forbids_it_is_not_traced_and_gets_the_id_all_the_same(
    gateway: GatewayProcess, spans: Collector, stand_in: FaultyTriton
) -> None:
    answer = gateway.predict(INSTANCE, traceparent=NOT_SAMPLED)
    assert (answer.status_code, trace_of(answer)[::2]) == (200, (TRACE, "00"))
    assert stand_in.traceparents == [None]
    other = gateway.predict(INSTANCE)  # whose spans come after those that would have been
    wait_for(lambda: len(spans.of(trace_of(other)[0])) == 4)
    assert spans.of(TRACE) == []


def test_without_a_callers_trace_each_request_has_its_own(gateway: GatewayProcess, spans: Collector) -> None:
    answers = [gateway.predict({"features": GIVEN}) for _ in range(2)]
    ids = [trace_of(answer)[0] for answer in answers]
    assert len({*ids, TRACE}) == 3
    for trace_id in ids:
        found = tree(spans, trace_id, {"POST /predict", "triton.infer", "log.append"})
        assert found["POST /predict"].parent == ""


def test_a_canary_that_fails_and_who_stepped_in(
    gateway: GatewayProcess, spans: Collector, stand_in: FaultyTriton, redis_url: str
) -> None:
    serve(redis_url, gateway, CANARY)
    stand_in.faults["delay_v2"] = "error"
    answer = gateway.predict(INSTANCE, traceparent=SAMPLED, **{"x-model-arm": "canary"})
    assert answer.json()["predictions"][0]["fallback_from"] == "canary"
    wait_for(lambda: len(spans.of(TRACE)) == 5)
    asked = [s for s in spans.of(TRACE) if s.name == "triton.infer"]
    assert [(s.attributes["drift.arm"], s.status) for s in asked] == [("canary", ERROR), ("baseline", 0)]
    assert asked[0].attributes["error.type"] == "error"
    assert "planted" in asked[0].message
    (root,) = [s for s in spans.of(TRACE) if s.kind == SERVER]
    assert (root.status, root.attributes["drift.fallback"]) == (0, True)


def test_a_deadline_that_passes_shows_who_was_waited_for(
    start: Start, spans: Collector, stand_in: FaultyTriton
) -> None:
    stand_in.faults["delay_v1"] = "hang"
    with start(OTEL_EXPORTER_OTLP_ENDPOINT=spans.url, GATEWAY_DEADLINE_MS="200") as gateway:
        answer = gateway.predict({"features": GIVEN}, traceparent=SAMPLED)
        assert (answer.status_code, trace_of(answer)[0]) == (504, TRACE)
        wait_for(lambda: {s.name for s in spans.of(TRACE)} == {"POST /predict", "triton.infer"})
    found = {s.name: s for s in spans.of(TRACE)}
    assert found["triton.infer"].attributes["error.type"] == "timeout"
    assert found["triton.infer"].status == ERROR
    assert found["POST /predict"].status == ERROR
    assert found["POST /predict"].attributes["error.type"] == "504"


def test_what_the_shadow_does_is_a_trace_of_its_own_with_links(
    gateway: GatewayProcess, spans: Collector, redis_url: str
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, shadow=TWO, shadow_fraction=1.0))
    answer = gateway.predict(many(2), traceparent=SAMPLED)
    gateway.predict(INSTANCE, traceparent=NOT_SAMPLED)
    wait_for(lambda: any(s.name == "background.infer" for s in spans.spans))
    (shadow,) = [s for s in spans.spans if s.name == "background.infer"]
    assert shadow.links == [trace_of(answer)[:2]]
    assert (shadow.parent, shadow.kind) == ("", CLIENT)
    assert shadow.trace_id != TRACE
    assert shadow.attributes["drift.model"] == "delay_v2"
    assert shadow.attributes["drift.batch.rows"] in (2, 3)


def test_the_open_inference_protocol_too(gateway: GatewayProcess, spans: Collector) -> None:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 7], "data": [1, 3, 1089, 10, 1, 1, 0.5]}
    answer = gateway.client.post(
        "/v2/models/delay/infer", json={"id": "mine", "inputs": [tensor]}, headers={"traceparent": SAMPLED}
    )
    assert (answer.status_code, trace_of(answer)[::2]) == (200, (TRACE, "01"))
    found = tree(spans, TRACE, {"POST /v2/models/{model}/infer", "triton.infer", "log.append"})
    root = found["POST /v2/models/{model}/infer"]
    assert root.attributes["url.path"] == "/v2/models/delay/infer"
    assert (root.attributes["drift.request_id"], root.attributes["drift.rows"]) == ("mine", 1)


def test_every_answer_has_a_trace_id(gateway: GatewayProcess) -> None:
    """Whoever refuses: handlers, the router, the transport before there is a request, and the Open Inference Protocol."""
    client = gateway.client
    kept = {"traceparent": NOT_SAMPLED}
    answers = [
        client.get("/health", headers=kept),
        client.head("/", headers=kept),
        client.get("/metrics", headers=kept),
        client.get("/nowhere", headers=kept),
        client.get("/predict", headers=kept),
        client.post("/predict", content="{", headers=kept),
        client.put("/rollout", content="{}", headers=kept),
        client.post("/feedback", content="{}", headers=kept),
        client.get("/v2/health/live", headers=kept),
        client.post("/v2/models/delay/infer", content="{", headers=kept),
        client.post("/v2/repository/models/delay/load", headers=kept),
        client.post("/predict", content="x" * 9_000_000, headers=kept),
        client.get("/", headers=kept | {"expect": "miracles"}),
    ]
    assert [a.status_code for a in answers] == [200, 200, 200, 404, 405, 400, 403, 400, 200, 400, 403, 413, 417]
    assert [trace_of(answer)[::2] for answer in answers] == [(TRACE, "00")] * len(answers)


@pytest.mark.parametrize(("ratio", "share"), [("0.0", 0), ("1.0", 20)])
def test_by_ratio_where_the_caller_says_nothing(start: Start, spans: Collector, ratio: str, share: int) -> None:
    settings = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    with start(OTEL_EXPORTER_OTLP_ENDPOINT=spans.url, **settings) as gateway:
        flags = [trace_of(gateway.predict({"features": GIVEN}))[2] for _ in range(20)]
        assert flags.count("01") == share
        gateway.predict({"features": GIVEN}, traceparent=SAMPLED)
    # it has ended, and sent all that it had; the readiness that the test waited for was traced too
    asked = [s for s in spans.spans if s.name == "POST /predict"]
    assert len(asked) == share + 1


def test_a_collector_that_is_away_costs_spans_alone_and_is_told_of_once(
    start: Start, spans: Collector, redis_url: str
) -> None:
    spans.says = 400  # which is not worth a retry
    with start(OTEL_EXPORTER_OTLP_ENDPOINT=spans.url) as gateway:
        for _ in range(3):
            before = len(spans.paths)
            assert gateway.predict({"features": GIVEN}).status_code == 200
            wait_for(lambda before=before: len(spans.paths) > before)
        spans.says = 200
        gateway.predict({"features": GIVEN}, traceparent=SAMPLED)
        wait_for(lambda: len(spans.of(TRACE)) == 3)
        wait_for(lambda: len(predictions(redis_url)) == 4)
        log = (gateway.home / f"gateway-{gateway.port}.log").read_text()
        wait_for(lambda: "takes spans again" in (gateway.home / f"gateway-{gateway.port}.log").read_text())
    assert log.count("takes no spans") == 1
    assert "Traceback" not in log


def test_a_collector_that_nobody_runs_holds_up_neither_answers_nor_the_end(start: Start, redis_url: str) -> None:
    with start(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1") as gateway:
        assert [gateway.predict({"features": GIVEN}).status_code for _ in range(20)] == [200] * 20
        process = gateway.process
        process.terminate()
        assert process.wait(timeout=8) == 0
    assert len(predictions(redis_url)) == 20
    assert "Traceback" not in (gateway.home / f"gateway-{gateway.port}.log").read_text()
