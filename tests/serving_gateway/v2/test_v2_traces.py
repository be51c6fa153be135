"""A real Triton under a gateway that traces: it takes the context, and what is passed through to it is a span too."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tritonclient import http

from tests.serving_gateway.support import GatewayProcess, gateway_process, wait_for
from tests.serving_gateway.tracing.collector import Collector, collector
from tests.serving_gateway.v2.conftest import Front, tensor, vectors
from tests.serving_gateway.v2.triton_backends import RAISE

pytestmark = pytest.mark.integration

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def spans() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def traced(front: Front, spans: Collector, tmp_path: Path) -> Iterator[GatewayProcess]:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": spans.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with gateway_process(tmp_path, front.redis.url, front.triton, GATEWAY_DEADLINE_MS="10000", **settings) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        yield gateway


def test_by_the_split(traced: GatewayProcess, spans: Collector) -> None:
    client = http.InferenceServerClient(f"127.0.0.1:{traced.port}")
    scores = client.infer("delay", [tensor("features", vectors(5))], headers=SAMPLED).as_numpy("score")
    client.close()
    assert scores.shape == (5, 1)
    names = {"POST /v2/models/{model}/infer", "triton.infer", "log.append"}
    wait_for(lambda: {s.name for s in spans.of(TRACE)} == names)
    root, infer, append = spans.of(TRACE)
    assert root.parent == PARENT
    assert {infer.parent, append.parent} == {root.span_id}
    assert root.began <= infer.began <= infer.ended <= append.began <= append.ended <= root.ended
    assert infer.attributes["drift.batch.rows"] == 5


@pytest.mark.parametrize(("wait", "status"), [(0.0, 0), (RAISE, 2)])
def test_passed_through(traced: GatewayProcess, spans: Collector, wait: float, status: int) -> None:
    client = http.InferenceServerClient(f"127.0.0.1:{traced.port}")
    asked = [tensor("wait", np.array([wait], np.float32))]
    try:
        client.infer("trouble", asked, headers=SAMPLED)
    except http.InferenceServerException as error:
        assert "planted" in str(error)  # noqa: PT017
    client.close()
    wait_for(lambda: len(spans.of(TRACE)) == 2)
    root, passed = spans.of(TRACE)
    assert (root.name, passed.name) == ("POST /v2/models/{model}/infer", "triton.request")
    assert (root.parent, passed.parent) == (PARENT, root.span_id)
    assert (root.status, passed.status) == (status, status)
