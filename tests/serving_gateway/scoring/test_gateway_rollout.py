"""Following the rollout through refusals, outages and deaths."""

import asyncio
import json
import signal
import time
from pathlib import Path

import msgspec
import pytest
import redis
import uvloop

from serving_gateway.contracts.prediction_log import decode_record, read_frames
from serving_gateway.contracts.rollout import SCHEMA
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back
from serving_gateway.gateway import Gateway
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.settings import Settings
from tests.servers import free_port, redis_server
from tests.serving_gateway.faulty_triton import FaultyTriton
from tests.serving_gateway.support import (
    CANARY,
    CONTRACT,
    GIVEN,
    INSTANCE,
    NOW,
    TWO,
    GatewayProcess,
    gateway_process,
    many,
    predictions,
    publish_state,
    put_all_views,
    serve,
    state_of,
    version,
    wait_for,
)

pytestmark = pytest.mark.integration


def test_a_canary_with_another_signature_is_refused_with_the_reason(gateway: GatewayProcess, redis_url: str) -> None:
    other = version(3, inputs=(msgspec.structs.replace(CONTRACT.inputs[0], vocabulary=("AA",)), *CONTRACT.inputs[1:]))
    store = RolloutStore.connect(redis_url)
    store.put_contract(other)
    serve(redis_url, gateway, state_of(CONTRACT, other, weight_bp=10_000))
    health = gateway.health()
    assert health["canary_weight_bp"] == 0
    assert health["refused"] == {"canary": "delay_v3: inputs[0] (s_carrier): vocabulary differs from the baseline's"}
    assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "baseline"
    assert gateway.metric('serving_app_arm_refused{model_variant="canary"}') == 1
    assert store.acknowledgements()[0].canary_weight_bp == 0


@pytest.mark.parametrize("planted", [b"nonsense", b'{"phase":"\xff"}', b"[" * 100_000])
def test_nothing_unreadable_in_redis_ends_the_gateway(
    planted: bytes, gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, weight_bp=10_000))
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, planted)
        client.publish(keys.CHANGED, planted)
        wait_for(lambda: "state in the store is unreadable" in str(gateway.health()["problem"]))
        triton_stand_in.faults["delay_v2"] = "error"  # the rollback cannot be written
        rows = [gateway.predict(INSTANCE).json()["predictions"][0] for _ in range(11)]
        assert "fallback_from" not in rows[10]
        wait_for(
            lambda: (
                "the rollback of delay_v2 is not in the store yet"
                in next(gateway.home.glob("gateway-*.log")).read_text()
            )
        )
        client.set(keys.ROLLOUT, msgspec.json.encode(state_of(CONTRACT, TWO, weight_bp=10_000, generation=3)))
        wait_for(lambda: json.loads(client.get(keys.ROLLOUT) or "{}")["phase"] == "rolled_back")
    wait_for(lambda: gateway.health()["problem"] == "")
    assert gateway.process.poll() is None


def test_a_state_of_a_newer_schema_is_said_and_left_alone_and_the_last_known_good_is_served(
    gateway: GatewayProcess, redis_url: str, triton_stand_in: FaultyTriton
) -> None:
    serve(redis_url, gateway, state_of(CONTRACT, TWO, weight_bp=10_000))
    known = msgspec.json.decode(msgspec.json.encode(state_of(CONTRACT, TWO, weight_bp=10_000, generation=3)))
    newer = msgspec.json.encode(known | {"schema": SCHEMA + 1, "arms": {"everybody": []}})
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.ROLLOUT, newer)
        client.publish(keys.CHANGED, newer)
        wait_for(lambda: f"a newer platform wrote it, by schema {SCHEMA + 1}" in str(gateway.health()["problem"]))
        assert gateway.health()["generation"] == 2
        assert gateway.predict(INSTANCE).json()["predictions"][0]["arm"] == "canary"
        triton_stand_in.faults["delay_v2"] = "error"  # it stops its canary for itself, and writes over nothing
        rows = [gateway.predict(INSTANCE).json()["predictions"][0] for _ in range(11)]
        assert "fallback_from" not in rows[10]
        log = next(gateway.home.glob("gateway-*.log"))
        wait_for(lambda: "the rollback of delay_v2 is not in the store yet" in log.read_text())
        assert client.get(keys.ROLLOUT) == newer


def test_an_unreadable_clock_is_said_and_the_gateway_goes_on(gateway: GatewayProcess, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(keys.CLOCK, "noon")
        wait_for(lambda: "clock in the store is unreadable: b'noon'" in str(gateway.health()["problem"]))
        assert gateway.predict(INSTANCE).status_code == 503
        assert gateway.predict({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).status_code == 200
        put_all_views(client)
        wait_for(lambda: gateway.health()["problem"] == "")
    assert gateway.predict(INSTANCE).status_code == 200


def test_an_unreadable_landed_offset_keeps_the_records_and_the_gateway(
    gateway: GatewayProcess, redis_url: str, tmp_path: Path
) -> None:
    gateway.predict(INSTANCE)
    wait_for(lambda: len(predictions(redis_url)) == 1)
    [segment] = tmp_path.glob("gateway/spool/*/*.seg")
    log = next(tmp_path.glob("gateway-*.log"))
    with redis.Redis.from_url(redis_url) as client:
        client.hset(keys.LANDED, segment.stem, "far")
        wait_for(lambda: "they wait in the spool" in log.read_text())
        client.delete(keys.LANDED)
    gateway.predict(INSTANCE)
    wait_for(lambda: len(predictions(redis_url)) == 2)
    assert gateway.process.poll() is None


def test_a_contract_with_a_bad_hash_field_is_not_served(gateway: GatewayProcess, redis_url: str) -> None:
    field = msgspec.structs.replace(CONTRACT.views[0].features[0], field="no hex!!")
    bad = version(3, views=(msgspec.structs.replace(CONTRACT.views[0], features=(field,)), *CONTRACT.views[1:]))
    store = publish_state(redis_url, state_of(bad, generation=2), bad)
    wait_for(lambda: f"the contract {bad.digest} of delay_v3" in str(gateway.health()["problem"]))
    assert gateway.predict(INSTANCE).json()["generation"] == 1
    store.write(state_of(CONTRACT, generation=3), store.read())
    wait_for(lambda: (gateway.health()["generation"], gateway.health()["problem"]) == (3, ""))


def test_a_gateway_that_starts_looks_at_the_store_before_it_listens(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would give a canary that was rolled back its share again until the first poll."""
    settings = Settings.load({"REDIS_URL": redis_url, "PLATFORM_HOME": str(tmp_path), "GATEWAY_ID": "g1"})
    LastKnownGood(settings.folder / "rollout", "g1").save([CANARY])
    publish_state(redis_url, CANARY, CONTRACT, TWO)
    publish_state(redis_url, state_of(CONTRACT, generation=2), CONTRACT, TWO)
    at_start: list[int | None] = []

    async def start_and_stop() -> None:
        gateway, stop = Gateway(settings), asyncio.Event()

        async def start() -> None:
            served = gateway._follower.served
            at_start.append(served.state.generation if served else None)
            stop.set()

        monkeypatch.setattr(gateway._server, "start", start)
        await gateway.run(stop)

    asyncio.run(start_and_stop())
    assert at_start == [2]


def test_a_gateway_starts_though_redis_hangs(tmp_path: Path, triton_stand_in: FaultyTriton) -> None:
    with redis_server(tmp_path / "redis") as server:
        publish_state(server.url, CANARY, CONTRACT, TWO)
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as gateway:
            wait_for(lambda: gateway.health()["generation"] == 1)
        server.process.send_signal(signal.SIGSTOP)
        try:
            with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as again:
                assert (again.health()["generation"], again.health()["redis"]) == (1, "down")
        finally:
            server.process.send_signal(signal.SIGCONT)


def test_acknowledgements_are_dated_by_the_clock_of_redis(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load({"REDIS_URL": redis_url, "PLATFORM_HOME": str(tmp_path), "GATEWAY_PORT": str(free_port())})
    store = publish_state(redis_url, state_of(CONTRACT), CONTRACT)

    async def main() -> list[float]:
        gateway, stop = Gateway(settings), asyncio.Event()
        monkeypatch.setattr(time, "time", lambda: 0.0)
        running = asyncio.create_task(gateway.run(stop))
        async with asyncio.timeout(5):
            while not (heard := await asyncio.to_thread(store.heard)):  # noqa: ASYNC110  it comes true in Redis
                await asyncio.sleep(0.01)
        stop.set()
        await running
        return [age_s for _, age_s in heard]

    [age_s] = asyncio.run(main())
    assert 0 <= age_s < 3


def test_redis_away_given_features_are_answered_and_nothing_is_lost(
    tmp_path: Path, triton_stand_in: FaultyTriton
) -> None:
    with redis_server(tmp_path / "redis") as server:
        with redis.Redis.from_url(server.url) as client:
            put_all_views(client)
        publish_state(server.url, CANARY, CONTRACT, TWO)
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            server.process.terminate()
            server.process.wait()
            answer = gateway.predict(INSTANCE)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert "online store" in answer.json()["error"]["message"]
            ids = {gateway.predict({"features": GIVEN}).json()["predictions"][0]["prediction_id"] for _ in range(20)}
            assert len(ids) == 20
            assert gateway.client.get("/ready").status_code == 200
        # a gateway that starts while Redis is down serves its last known good
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g2") as late:
            assert late.health()["generation"] == 1
            assert late.predict({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).status_code == 200
            assert "clock is not set or unreadable" in late.predict({"features": GIVEN}).text
            with redis_server(tmp_path / "redis", port=server.port):
                wait_for(lambda: ids <= {r.prediction_id for r in predictions(server.url)}, timeout_s=10)


def test_a_trip_while_redis_is_away_is_written_by_the_next_life(tmp_path: Path, triton_stand_in: FaultyTriton) -> None:
    state = state_of(CONTRACT, TWO, weight_bp=10_000)
    with redis_server(tmp_path / "redis", "--appendonly", "yes") as server:
        store = publish_state(server.url, state, CONTRACT, TWO)
        triton_stand_in.faults["delay_v2"] = "nan"
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as gateway:
            wait_for(lambda: gateway.client.get("/ready").status_code == 200)
            server.process.terminate()
            server.process.wait()
            rows = [
                gateway.predict({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}).json() for _ in range(11)
            ]
            assert "fallback_from" not in rows[10]["predictions"][0]
            gateway.process.send_signal(signal.SIGKILL)
            gateway.process.wait()
        with gateway_process(tmp_path, server.url, triton_stand_in.address, GATEWAY_ID="g1") as again:
            assert again.health()["canary_weight_bp"] == 0
            with redis_server(tmp_path / "redis", "--appendonly", "yes", port=server.port):
                wait_for(lambda: store.read().phase == "rolled_back", timeout_s=10)  # type: ignore[union-attr]
                wait_for(lambda: not (tmp_path / "gateway/trips/g1.json").exists())


def test_killed_at_once_after_the_answer_the_record_is_in_the_spool(
    gateway: GatewayProcess, redis_url: str, tmp_path: Path
) -> None:
    answers = [gateway.predict(many(5)).json() for _ in range(4)]
    gateway.process.send_signal(signal.SIGKILL)
    gateway.process.wait()
    answered = {p["prediction_id"] for a in answers for p in a["predictions"]}
    frames = [f for path in tmp_path.glob("gateway/spool/*/*.seg") for f in read_frames(path.read_bytes())[0]]
    assert answered == {decode_record(f).prediction_id for f in frames}


def test_sigterm_drains_and_exits_cleanly(gateway: GatewayProcess) -> None:
    assert gateway.predict(INSTANCE).status_code == 200
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(timeout=10) == 0


def test_stopping_is_quick_whatever_a_task_is_at(redis_url: str, tmp_path: Path) -> None:
    """A command of redis-py that begins as its task is cancelled takes the cancellation for itself."""
    store = publish_state(redis_url, state_of(CONTRACT), CONTRACT)

    async def stopped_after(turns: int) -> float:
        settings = Settings.load(
            {"REDIS_URL": redis_url, "PLATFORM_HOME": str(tmp_path / str(turns)), "GATEWAY_PORT": str(free_port())}
        )
        gateway, stop = Gateway(settings), asyncio.Event()
        running = asyncio.create_task(gateway.run(stop))
        state = store.change(lambda s: rolled_back(s, actor="t", reason="r", now=NOW))
        async with asyncio.timeout(5):
            while gateway._follower.served is None or gateway._follower.served.state != state:  # noqa: ASYNC110
                await asyncio.sleep(0)
        store.change(lambda s: rolled_back(s, actor="t", reason="r", now=NOW))  # something to do while it stops
        for _ in range(turns):
            await asyncio.sleep(0)
        began = time.monotonic()
        stop.set()
        await running
        return time.monotonic() - began

    assert max(uvloop.run(stopped_after(turns)) for turns in range(12)) < 2.0


def test_a_rollback_reaches_the_gateway_by_push(gateway: GatewayProcess, redis_url: str) -> None:
    serve(redis_url, gateway, CANARY)
    store = RolloutStore.connect(redis_url)
    state = store.change(lambda s: rolled_back(s, actor="t", reason="r", now=NOW))
    store.wait_until_served(state, timeout_s=2)
    assert gateway.health()["generation"] == state.generation
    assert json.loads(gateway.client.get("/rollout").text)["canary_weight_bp"] == 0
