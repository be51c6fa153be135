"""Triton killed and started again under load: nobody waits in vain, and the same models answer again at once."""

import time
from pathlib import Path

import pytest

from tests.servers import free_port, triton_server
from tests.serving_gateway.faults import models
from tests.serving_gateway.faults.load import asked
from tests.serving_gateway.support import CONTRACT, TWO, gateway_process, publish_state, state_of, wait_for

pytestmark = pytest.mark.integration
DEADLINE_MS = 1000
SLACK_MS = 500  # for a client on a machine that does other things too
AWAY_S = 1.0


def test_a_killed_triton_costs_its_absence_and_no_more(redis_url: str, tmp_path: Path) -> None:
    models.publish(tmp_path)
    publish_state(redis_url, state_of(CONTRACT, TWO, weight_bp=2000), CONTRACT, TWO)
    ports = (free_port(), free_port(), free_port())
    with triton_server(tmp_path, ports=ports) as first:
        gateway_at = gateway_process(tmp_path, redis_url, first.http, GATEWAY_DEADLINE_MS=str(DEADLINE_MS))
        with gateway_at as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            with asked(gateway.port) as load:
                wait_for(lambda: gateway.metric("serving_app_requests_total") > 200)
                first.process.kill()
                first.process.wait()
                killed = time.monotonic()
                wait_for(lambda: time.monotonic() > killed + AWAY_S)
                assert gateway.client.get("/ready").status_code == 503
                assert gateway.metric("serving_app_ready") == 0
                with triton_server(tmp_path, ports=ports):
                    ready = time.monotonic()
                    wait_for(lambda: time.monotonic() > ready + 3)
                    assert gateway.metric("serving_app_ready") == 1
                    health, ended = gateway.health(), time.monotonic() - 0.1
    load = load.between(end=ended)
    away = load.between(killed, ready)
    again = min(answer[1] + answer[2] / 1e3 for answer in load.between(killed).answers if answer[3] == 200)
    print(
        f"Triton killed, ready again after {ready - killed:.1f} s: {len(load.answers)} requests, {dict(load.statuses)}, "
        f"worst {load.worst_ms:.0f} ms of {DEADLINE_MS}; answering {again - ready:+.2f} s after it was ready"
    )
    assert set(load.statuses) <= {200, 503}
    assert set(away.statuses) >= {503}
    assert load.refused_without_retry_after() == []
    assert load.worst_ms < DEADLINE_MS + SLACK_MS
    assert again - ready < 2.0
    assert set(load.between(ready + 2.0).statuses) == {200}
    assert {p["version"] for p in load.between(ready + 2.0).predictions} == {
        "1",
        "2",
    }  # the canary too, from the manifest
    assert (health["trip"], health["canary_weight_bp"]) == (None, 2000)  # and nobody was convicted
