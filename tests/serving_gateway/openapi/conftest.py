"""A gateway with an admin token over a real Triton and a real Redis, and its own description."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from tests.servers import redis_server, triton_server
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
from tests.serving_gateway.v2.triton_backends import loaded

TOKEN = "an-admin-token"


@dataclass(frozen=True)
class Described:
    """A gateway and what it says of itself."""

    gateway: GatewayProcess
    document: dict[str, Any]


@pytest.fixture(scope="package")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    """delay_v1 answers, delay_v2 is canary with 30 % of the keys."""
    home = tmp_path_factory.mktemp("described")
    with triton_server(home / "triton") as triton, loaded(triton, home / "triton"), redis_server(home) as server:
        with redis.Redis.from_url(server.url) as client:
            put_all_views(client)
        publish_state(server.url, state_of(CONTRACT, TWO, weight_bp=3000), CONTRACT, TWO)
        settings = {"ADMIN_TOKEN": TOKEN, "GATEWAY_DEADLINE_MS": "10000"}
        with gateway_process(home, server.url, triton.http, **settings) as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            yield Described(gateway, gateway.client.get("/openapi.json").json())
