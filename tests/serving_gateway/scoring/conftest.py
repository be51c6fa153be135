"""A gateway process over an empty real Redis and the stand-in for Triton."""

from collections.abc import Iterator
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


@pytest.fixture
def triton_stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as server:
        server.scores = {"delay_v1": 0.25, "delay_v2": 0.75}
        yield server


@pytest.fixture
def under_asgi() -> bool:
    """Whether an ASGI server carries the gateway; a module whose tests hold for both overrides it."""
    return False


@pytest.fixture
def gateway(
    redis_url: str, triton_stand_in: FaultyTriton, tmp_path: Path, under_asgi: bool
) -> Iterator[GatewayProcess]:
    with redis.Redis.from_url(redis_url) as client:
        put_all_views(client)
    publish_state(redis_url, state_of(CONTRACT), CONTRACT, TWO)
    with gateway_process(tmp_path, redis_url, triton_stand_in.address, under_asgi=under_asgi) as found:
        wait_for(lambda: found.client.get("/ready").status_code == 200)
        yield found
