"""A canary that fails in every way, on three gateways under load: nobody sees it, and it is gone everywhere within a second."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from serving_gateway.control.store import RolloutStore
from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import asked
from tests.serving_gateway.support import (
    CONTRACT,
    TWO,
    GatewayProcess,
    gateway_process,
    publish_state,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration
DEADLINE_MS = 400


@pytest.fixture
def store(redis_url: str) -> RolloutStore:
    return publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=3000), CONTRACT, TWO)


@pytest.fixture
def gateways(store: RolloutStore, redis_url: str, triton: Told, tmp_path: Path) -> Iterator[list[GatewayProcess]]:
    with ExitStack() as stack:
        found = [
            stack.enter_context(
                gateway_process(tmp_path / str(n), redis_url, triton.http, GATEWAY_DEADLINE_MS=str(DEADLINE_MS))
            )
            for n in range(3)
        ]
        for gateway in found:
            wait_for(lambda gateway=gateway: gateway.client.get("/ready").status_code == 200)  # type: ignore[misc]
        yield found


@pytest.mark.parametrize("fault", ["error", "nan", pytest.param("shape", marks=pytest.mark.full), "hang"])
def test_nobody_sees_a_failing_canary_and_it_loses_its_traffic_everywhere(
    fault: str, gateways: list[GatewayProcess], store: RolloutStore, triton: Told
) -> None:
    ports = [g.port for g in gateways]
    # One is busy, so that it finds out and the others have to be told.
    with asked(ports[0], connections=4, pause_s=0.02) as load, asked(*ports[1:], connections=2, pause_s=0.3) as other:
        wait_for(lambda: all(g.metric('serving_app_requests_total{model_variant="canary"') > 0 for g in gateways))
        told = time.time()
        triton.tell("delay_v2", fault)
        seen: dict[int, float] = {}  # port -> when its weight was first seen to be 0
        wait_for(lambda: _all_stopped(gateways, seen), timeout_s=15)
        stopped = time.monotonic()
        wait_for(lambda: time.monotonic() > stopped + 0.3)
    load.answers += other.answers
    state = store.read()
    assert state is not None
    assert state.phase == "rolled_back"
    assert "canary requests failed" in state.reason
    held = min(first_trip(gateway) for gateway in gateways)  # the condition held in one of them: the first
    spread = max(seen.values()) - held
    after = load.between(stopped + 0.05).predictions
    fallbacks = sum(p.get("fallback_from") == "canary" for p in load.predictions)
    print(
        f"canary {fault}: {len(load.answers)} requests, {dict(load.statuses)}, worst {load.worst_ms:.0f} ms, "
        f"{fallbacks} fallbacks; condition held {held - told:.2f} s after the fault, "
        f"weight 0 on three gateways {spread:.2f} s later"
    )
    assert set(load.statuses) == {200}
    assert fallbacks >= 6
    assert spread < 1.0
    assert after
    assert not any(p["arm"] == "canary" or p.get("fallback_from") for p in after)


def _all_stopped(gateways: list[GatewayProcess], seen: dict[int, float]) -> bool:
    for gateway in gateways:
        if gateway.port not in seen and gateway.health()["canary_weight_bp"] == 0:
            seen[gateway.port] = time.time()
    return len(seen) == len(gateways)


def first_trip(gateway: GatewayProcess) -> float:
    """When this gateway's condition held, by its log; endless where it followed others. UNIX seconds."""
    log = (gateway.home / f"gateway-{gateway.port}.log").read_text()
    at = [json.loads(line)["time"] for line in log.splitlines() if "is stopped: " in line]
    return datetime.fromisoformat(at[0]).timestamp() if at else float("inf")
