"""Redis killed and started again under load: what stands goes on, features by the policy, and no record is lost."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest
import redis

from orchestration.ingestion.predictions import land, read_predictions
from serving_gateway.control.transitions import set_weight
from tests.servers import RedisServer, free_port, redis_server
from tests.serving_gateway.faults.conftest import Told
from tests.serving_gateway.faults.load import BY_ENTITIES, Load, asked
from tests.serving_gateway.faults.windows import DAY
from tests.serving_gateway.support import (
    CONTRACT,
    INSTANCE,
    NOW,
    TWO,
    GatewayProcess,
    gateway_process,
    publish_state,
    put_all_views,
    state_of,
    wait_for,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """As the embedded profile runs it: append-only file on."""
    with redis_server(tmp_path / "redis", "--appendonly", "yes", port=free_port()) as server:
        yield server


@pytest.mark.parametrize("away_s", [3.0, pytest.param(30.0, marks=pytest.mark.full)])
def test_a_killed_redis_costs_nothing_but_what_the_policy_says(
    away_s: float, own_redis: RedisServer, triton: Told, tmp_path: Path
) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        put_all_views(client)
    store = publish_state(own_redis.url, state_of(CONTRACT, TWO, weight_bp=3000), CONTRACT, TWO)
    with ExitStack() as stack:

        def gateway(name: str, policy: str) -> GatewayProcess:
            home, settings = tmp_path / "platform", {"GATEWAY_ID": name, "GATEWAY_FEATURES_AWAY": policy}
            return stack.enter_context(gateway_process(home, own_redis.url, triton.http, **settings))

        refusing, degrading = gateway("refusing", "refuse"), gateway("degrading", "default")
        for one in (refusing, degrading):
            wait_for(lambda one=one: one.client.get("/ready").status_code == 200)  # type: ignore[misc]
        with (
            asked(refusing.port, connections=4, pause_s=0.02) as by_features,
            asked(refusing.port, degrading.port, body=BY_ENTITIES, connections=4, pause_s=0.02) as by_entities,
        ):
            wait_for(lambda: all(g.metric("serving_app_requests_total") > 100 for g in (refusing, degrading)))
            own_redis.process.kill()
            own_redis.process.wait()
            killed = time.monotonic()
            late = gateway("late", "default")
            assert late.client.get("/ready").status_code == 200  # from the last known good of this machine
            assert late.health()["canary_weight_bp"] == 3000
            degraded = late.predict(BY_ENTITIES | {"request_id": "late"})
            assert degraded.json()["predictions"][0]["degraded"] is True
            wait_for(lambda: time.monotonic() > killed + away_s, timeout_s=away_s + 5)
            assert (refusing.health()["redis"], refusing.health()["canary_weight_bp"]) == ("down", 3000)
            back = time.monotonic()
            stack.enter_context(redis_server(tmp_path / "redis", "--appendonly", "yes", port=own_redis.port))
            wait_for(lambda: refusing.health()["redis"] == degrading.health()["redis"] == "up")
            answering = time.monotonic()
            wait_for(lambda: time.monotonic() > answering + 1)
            changed = store.change(lambda s: set_weight(s, 1000, actor="t", reason="back", now=NOW))
            wait_for(lambda: len(store.wait_until_served(changed, timeout_s=5)) == 3)
        assert "degraded" not in degrading.predict(INSTANCE).json()["predictions"][0]
        rows = landed(own_redis, tmp_path / "lake", {*by_features.ids, *by_entities.ids})
    print(
        f"Redis away for {back - killed:.0f} s: {len(by_features.ids) + len(by_entities.ids)} predictions answered, "
        f"{rows.height} landed, {rows['degraded'].sum()} degraded, {by_entities.statuses[503]} refused; "
        f"by features {dict(by_features.statuses)}, worst {max(by_features.worst_ms, by_entities.worst_ms):.0f} ms; "
        f"all well {answering - back:.2f} s after its start"
    )
    assert set(by_features.statuses) == {200}
    assert max(by_features.worst_ms, by_entities.worst_ms) < 1500
    assert by_entities.refused_without_retry_after() == []
    statuses = {port: {a[3] for a in by_entities.answers if a[0] == port} for port in (refusing.port, degrading.port)}
    assert statuses == {refusing.port: {200, 503}, degrading.port: {200}}
    every_degraded_row_is_flagged(by_entities, by_entities.between(killed + 0.5, back - 0.5), rows)


def test_a_redis_that_hangs_costs_half_of_the_deadline(own_redis: RedisServer, triton: Told, tmp_path: Path) -> None:
    publish_state(own_redis.url, state_of(CONTRACT), CONTRACT)
    with gateway_process(tmp_path / "home", own_redis.url, triton.http, GATEWAY_FEATURES_AWAY="default") as gateway:
        wait_for(lambda: gateway.client.get("/ready").status_code == 200)
        assert "degraded" not in gateway.predict(BY_ENTITIES).json()["predictions"][0]
        own_redis.process.send_signal(signal.SIGSTOP)
        answer = gateway.predict(BY_ENTITIES)
        own_redis.process.send_signal(signal.SIGCONT)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["degraded"] is True
    assert 0.4 < answer.elapsed.total_seconds() < 1.0


def landed(server: RedisServer, lake: Path, ids: set[str]) -> pl.DataFrame:
    """What is read of the lake once all of `ids` have landed."""
    with redis.Redis.from_url(server.url) as client:
        wait_for(lambda: land(client, lake) and ids <= set(read_predictions(lake, *DAY)["prediction_id"]), timeout_s=20)
    return read_predictions(lake, *DAY)


def every_degraded_row_is_flagged(load: Load, away: Load, rows: pl.DataFrame) -> None:
    """In the answer and in the record alike; while Redis is away all, and no other."""
    flagged = {p["prediction_id"] for p in load.predictions if p.get("degraded")}
    assert set(rows.filter(rows["degraded"])["prediction_id"]) >= flagged
    assert set(rows.filter(~rows["degraded"])["prediction_id"]) >= set(load.ids) - flagged
    assert away.predictions
    assert all(p["degraded"] for p in away.predictions)
