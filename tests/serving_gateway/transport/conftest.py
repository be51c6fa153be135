"""A gateway process with short limits, for those who mean harm; after each test the same process serves, and met no bug."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import RedisServer
from tests.serving_gateway.faulty_triton import FaultyTriton, faulty_triton
from tests.serving_gateway.support import CONTRACT, GatewayProcess, gateway_process, publish_state, state_of, wait_for
from tests.serving_gateway.transport.raw import BODY, post, talk

RECEIVE_S = 1.0
MAX_CONNECTIONS = 48


@pytest.fixture(scope="module")
def stand_in() -> Iterator[FaultyTriton]:
    with faulty_triton() as server:
        yield server


@pytest.fixture(scope="module")
def attacked(
    redis_process: RedisServer, stand_in: FaultyTriton, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A request must be whole within a second, 48 connections may be open; the rest are the defaults."""
    with redis.Redis.from_url(redis_process.url) as client:
        client.flushall()
    publish_state(redis_process.url, state_of(CONTRACT), CONTRACT)
    limits = {
        "GATEWAY_RECEIVE_MS": str(int(RECEIVE_S * 1000)),
        "GATEWAY_MAX_CONNECTIONS": str(MAX_CONNECTIONS),
        "GATEWAY_DEADLINE_MS": "3000",
    }
    with gateway_process(tmp_path_factory.mktemp("attacked"), redis_process.url, stand_in.address, **limits) as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        gateway.client.close()
        yield gateway


@pytest.fixture
def gateway(attacked: GatewayProcess) -> Iterator[GatewayProcess]:
    pid = worker(attacked)
    yield attacked
    still_serves(attacked)
    assert worker(attacked) == pid


def still_serves(gateway: GatewayProcess) -> None:
    """A good request is answered, and the log tells of no bug."""
    (answer,) = talk(gateway.port, [post(BODY)])
    assert answer.status == 200, answer
    assert "Traceback" not in log_of(gateway.home, gateway.port)


def worker(gateway: GatewayProcess) -> int:
    """The process that answers: the only child of the one that was started."""
    pid = gateway.process.pid
    (child,) = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
    return int(child)


def log_of(home: Path, port: int) -> str:
    return (home / f"gateway-{port}.log").read_text()
