"""Gateways that trace: over a stand-in for Triton whose requests can be looked at, and a collector that decodes."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import (
    CONTRACT,
    TWO,
    GatewayProcess,
    gateway_process,
    publish_state,
    put_all_views,
    state_of,
    wait_for,
)
from tests.serving_gateway.tracing.collector import Collector, collector

Start = Callable[..., AbstractContextManager[GatewayProcess]]


@pytest.fixture
def stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as server:
        server.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        yield server


@pytest.fixture
def start(redis_url: str, stand_in: FaultyTriton, tmp_path: Path) -> Start:
    """Starts a gateway that serves delay_v1 and sends its spans, if any, ten times a second."""
    with redis.Redis.from_url(redis_url) as client:
        put_all_views(client)
    publish_state(redis_url, state_of(CONTRACT), CONTRACT, TWO)

    @contextmanager
    def started(**environ: str) -> Iterator[GatewayProcess]:
        environ = {"OTEL_BSP_SCHEDULE_DELAY": "100", **environ}
        with gateway_process(tmp_path, redis_url, stand_in.address, **environ) as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            yield gateway

    return started


@pytest.fixture
def spans() -> Iterator[Collector]:
    with collector() as found:
        yield found


@pytest.fixture
def gateway(start: Start, spans: Collector) -> Iterator[GatewayProcess]:
    """One that traces whatever its caller does not forbid."""
    with start(OTEL_EXPORTER_OTLP_ENDPOINT=spans.url) as found:
        yield found
