"""A shadow that sleeps costs the answers nothing: what it cannot take is dropped and counted."""

import time
from pathlib import Path

import msgspec
import pytest

from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import Load, asked
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
ALONE, SHADOWED = state_of(CONTRACT), state_of(CONTRACT, shadow=TWO, shadow_fraction=1.0)
SLEEP_S = 0.5  # a batch of 256 at most: some 500 rows a second, of more that are asked


@pytest.mark.parametrize("seconds", [1.0, pytest.param(10.0, marks=pytest.mark.full)])
def test_a_sleeping_shadow_costs_the_answers_nothing(
    seconds: float, redis_url: str, triton: Told, tmp_path: Path
) -> None:
    store = publish_state(redis_url, ALONE, CONTRACT, TWO)
    alone, beside, shadowed = Load(), Load(), Load()
    with gateway_process(tmp_path, redis_url, triton.http, GATEWAY_SHADOW_QUEUE_ROWS="128") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        asked_for(gateway, seconds / 3)  # warm
        turns = [(alone, ALONE, ""), (beside, SHADOWED, ""), (shadowed, SHADOWED, f"sleep {SLEEP_S}")] * 2
        for generation, (load, state, told) in enumerate(turns, 2):  # in turn: what else the machine does meets all
            triton.tell("delay_v2", told)
            served = msgspec.structs.replace(state, generation=generation)
            store.write(served, store.read())
            wait_for(lambda served=served: gateway.health()["generation"] == served.generation)  # type: ignore[misc]
            load.answers += asked_for(gateway, seconds).answers
        rows = len(beside.answers) + len(shadowed.answers)
        wait_for(lambda: gateway.metric("serving_app_shadow_dropped_total") + scored(gateway) == rows, timeout_s=10)
        dropped = gateway.metric("serving_app_shadow_dropped_total")
    p50, p99 = (shadowed.ms(percent) / beside.ms(percent) for percent in (50, 99))
    said = [f"{load.ms(50):.2f} and {load.ms(99):.1f} ms" for load in (alone, beside, shadowed)]
    print(
        f"p50 and p99 without a shadow {said[0]}, with one {said[1]}, with one that sleeps {SLEEP_S} s a batch {said[2]}: "
        f"x {p50:.2f} and x {p99:.2f} by its sleep; of {rows} rows {dropped:.0f} dropped, {rows - dropped:.0f} scored"
    )
    assert set(alone.statuses) == set(beside.statuses) == set(shadowed.statuses) == {200}
    assert dropped > 0
    assert p50 < 2.0
    assert shadowed.worst_ms < SLEEP_S * 1e3  # nobody waited for a batch of the shadow's


def scored(gateway: GatewayProcess) -> float:
    return gateway.metric('serving_app_requests_total{model_variant="shadow"')


def asked_for(gateway: GatewayProcess, seconds: float) -> Load:
    with asked(gateway.port, connections=8, pause_s=0.005) as load:
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + seconds, timeout_s=seconds + 5)
    return load
