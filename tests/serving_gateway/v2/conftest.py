"""A gateway over a real Triton with four models, and the real clients of it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import redis
from tritonclient import http
from tritonclient.http import aio

from tests.servers import RedisServer, redis_server, triton_server
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

STATE = state_of(CONTRACT, TWO, shadow=TWO, weight_bp=3000, shadow_fraction=1.0)


@dataclass(frozen=True)
class Front:
    """A gateway, and what stands behind it."""

    gateway: GatewayProcess
    triton: str
    redis: RedisServer

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.gateway.port}"


@pytest.fixture(scope="package")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """delay_v1 answers, delay_v2 is canary with 30 % of the keys and shadows the rest; mixed and trouble are Triton's own.

    On a Triton of its own: others' tests run meanwhile, and look at everything that the shared one has.
    """
    home = tmp_path_factory.mktemp("v2")
    with triton_server(home / "triton") as triton, loaded(triton, home / "triton"), redis_server(home) as server:
        with redis.Redis.from_url(server.url) as client:
            put_all_views(client)
        publish_state(server.url, STATE, CONTRACT, TWO)
        with gateway_process(home, server.url, triton.http, GATEWAY_DEADLINE_MS="10000") as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            yield Front(gateway, triton.http, server)


class Client:
    """Calls either of Triton's HTTP clients by the method's name; both have the same methods."""

    def __init__(self, kind: str, address: str) -> None:
        self._runner = asyncio.Runner() if kind == "aio" else None
        if self._runner is None:
            self._client: Any = http.InferenceServerClient(address)
        else:
            self._client = self._runner.run(_made(address))

    def __call__(self, method: str, *arguments: object, **named: object) -> Any:
        answer = getattr(self._client, method)(*arguments, **named)
        return answer if self._runner is None else self._runner.run(answer)

    def close(self) -> None:
        self("close")
        if self._runner is not None:
            self._runner.close()


async def _made(address: str) -> aio.InferenceServerClient:
    return aio.InferenceServerClient(address)


@pytest.fixture(params=["sync", "aio"])
def client(request: pytest.FixtureRequest, front: Front) -> Iterator[Client]:
    """Triton's own client of the gateway."""
    found = Client(request.param, front.address)
    yield found
    found.close()


def tensor(name: str, values: np.ndarray, datatype: str = "FP32", *, binary: bool = True) -> http.InferInput:
    """An input of Triton's client."""
    found = http.InferInput(name, list(values.shape), datatype)
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def vectors(n: int, *, seed: int = 1) -> np.ndarray:
    """Random input rows of the rolled-out model, float32 [n, 7], some values missing."""
    rng = np.random.default_rng(seed)
    found = rng.normal(100, 300, (n, len(CONTRACT.inputs))).astype(np.float32)
    found[rng.random(found.shape) < 0.1] = np.nan
    return found
