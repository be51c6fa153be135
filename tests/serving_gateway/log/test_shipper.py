"""Shipping against a real Redis that forgets."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis
import redis.asyncio

from serving_gateway.contracts.prediction import PairedRecord, PairedScore
from serving_gateway.contracts.prediction_log import StreamBatch, advanced, encode_record
from serving_gateway.control import keys
from serving_gateway.log.shipper import Shipper
from serving_gateway.log.spool import Spool
from tests.servers import redis_server

pytestmark = pytest.mark.integration


def record(number: int) -> bytes:
    paired = PairedScore(arm="shadow", model_version="1", triton_model="m", outcome="ok", score=0.5)
    return encode_record(PairedRecord(prediction_id=f"p{number}", event_time_us=0, paired=paired))


def batches(client: "redis.Redis") -> list[StreamBatch]:
    return [StreamBatch.from_fields(fields) for _, fields in client.xrange(keys.PREDICTIONS)]  # type: ignore[union-attr]


def ids(client: "redis.Redis") -> list[str]:
    return [r.prediction_id for batch in batches(client) for r in batch.decoded()]


def land(client: "redis.Redis") -> None:
    """What the landing job does, without the Parquet."""
    for entry, fields in client.xrange(keys.PREDICTIONS):  # type: ignore[union-attr]
        batch = StreamBatch.from_fields(fields)
        known = int(client.hget(keys.LANDED, batch.segment) or 0)  # type: ignore[arg-type]
        client.hset(keys.LANDED, batch.segment, advanced(known, batch))  # type: ignore[arg-type]
        client.xdel(keys.PREDICTIONS, entry)


def shipping(url: str, tmp_path: Path, script: Callable[[Shipper, Spool], Awaitable[None]]) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis.from_url(url)
        spool = Spool(tmp_path, "g", max_bytes=1 << 20)
        await script(Shipper(client), spool)
        spool.close()
        await client.aclose()

    asyncio.run(main())


async def check_now(shipper: Shipper, spool: Spool) -> None:
    shipper._checked_at = float("-inf")
    await shipper.step(spool)


def test_frames_go_in_order_and_a_landed_closed_segment_is_deleted(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def script(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0), record(1)])
        await shipper.step(spool)
        spool.append([record(2)])
        await shipper.step(spool)
        assert ids(client) == ["p0", "p1", "p2"]
        assert [b.start for b in batches(client)] == [0, batches(client)[0].end]
        land(client)
        await check_now(shipper, spool)
        assert len(spool.segments) == 1  # still open
        spool._close_file()
        await check_now(shipper, spool)
        assert spool.segments == []
        assert client.hgetall(keys.LANDED) == {}

    shipping(redis_url, tmp_path, script)


def test_nothing_is_deleted_before_it_landed(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def script(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0)])
        spool._close_file()
        await shipper.step(spool)
        await check_now(shipper, spool)
        assert len(spool.segments) == 1
        assert ids(client) == ["p0"]  # and nothing is sent twice meanwhile

    shipping(redis_url, tmp_path, script)


def test_a_new_life_starts_from_what_has_landed(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def first(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0)])
        await shipper.step(spool)
        land(client)
        spool.append([record(1)])
        await shipper.step(spool)

    async def second(shipper: Shipper, spool: Spool) -> None:
        await shipper.step(spool)
        assert ids(client) == ["p1", "p1"]  # p1 had not landed: again, readers deduplicate

    shipping(redis_url, tmp_path, first)
    shipping(redis_url, tmp_path, second)


def test_a_flushed_redis_gets_everything_again(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def script(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0)])
        await shipper.step(spool)
        client.flushall()
        spool.append([record(1)])
        await check_now(shipper, spool)
        assert ids(client) == ["p0", "p1"]

    shipping(redis_url, tmp_path, script)


def test_a_redis_flushed_under_traffic_gets_everything_again(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def script(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0)])
        await shipper.step(spool)
        client.flushall()
        for number in range(1, 4):  # the stream grows again before anyone looks
            spool.append([record(number)])
            await shipper.step(spool)
        await check_now(shipper, spool)
        assert set(ids(client)) == {"p0", "p1", "p2", "p3"}
        shipped = ids(client)
        await check_now(shipper, spool)
        assert ids(client) == shipped  # once is enough

    shipping(redis_url, tmp_path, script)


def test_two_gateways_both_notice_a_flush(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def main() -> None:
        async with redis.asyncio.Redis.from_url(redis_url) as connection:
            pairs = [(Shipper(connection), Spool(tmp_path, name, max_bytes=1 << 20)) for name in ("g1", "g2")]
            for number, (shipper, spool) in enumerate(pairs):
                spool.append([record(number)])
                await shipper.step(spool)
            client.flushall()
            for shipper, spool in pairs:
                await check_now(shipper, spool)
                spool.close()

    asyncio.run(main())
    assert ids(client) == ["p0", "p1"]


def test_a_hiccup_ships_nothing_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def script(shipper: Shipper, spool: Spool) -> None:
        with redis_server(tmp_path / "redis") as server:
            client = redis.Redis.from_url(server.url)
            shipper._redis = redis.asyncio.Redis.from_url(server.url, socket_timeout=0.2)
            task = asyncio.create_task(shipper.run(spool))
            spool.append([record(0)])
            await until(lambda: ids(client) == ["p0"])
            server.process.send_signal(signal.SIGSTOP)
            spool.append([record(1)])
            await until(lambda: "they wait in the spool" in caplog.text)
            server.process.send_signal(signal.SIGCONT)
            await until(lambda: "p1" in ids(client))
            task.cancel()
            await check_now(shipper, spool)
            assert ids(client).count("p0") == 1
            await shipper._redis.aclose()

    shipping("redis://127.0.0.1:1/0", tmp_path, script)


def test_a_damaged_segment_does_not_keep_the_others_waiting(redis_url: str, tmp_path: Path) -> None:
    client = redis.Redis.from_url(redis_url)

    async def script(shipper: Shipper, spool: Spool) -> None:
        spool.append([record(0)])
        whole = spool.segments[0].size
        spool.append([record(1)])
        content = bytearray(spool.segments[0].path.read_bytes())
        content[whole + 9] ^= 1
        spool.segments[0].path.write_bytes(content)
        async with asyncio.timeout(5):
            await shipper.step(spool)
            spool.append([record(2)])
            await shipper.step(spool)
        assert ids(client) == ["p0", "p2"]
        land(client)
        await check_now(shipper, spool)
        assert len(spool.segments) == 1  # the damaged one has landed as far as it goes

    shipping(redis_url, tmp_path, script)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  it comes true in another process
            await asyncio.sleep(0.01)


def test_a_redis_that_lost_its_memory_in_a_restart_gets_everything_again(tmp_path: Path) -> None:
    async def script(shipper: Shipper, spool: Spool) -> None:
        with redis_server(tmp_path / "a") as server:
            shipper._redis = redis.asyncio.Redis.from_url(server.url)
            spool.append([record(0)])
            await shipper.step(spool)
            port = server.port
        with pytest.raises(redis.exceptions.ConnectionError):
            await check_now(shipper, spool)
        with redis_server(tmp_path / "b", port=port) as server:
            client = redis.Redis.from_url(server.url)
            client.xadd(keys.PREDICTIONS, {"foreign": 1})  # someone else's entry makes the stream look younger
            client.xtrim(keys.PREDICTIONS, maxlen=0)
            spool.append([record(1)])
            await check_now(shipper, spool)
            assert ids(client) == ["p0", "p1"]
            await shipper._redis.aclose()

    shipping("redis://127.0.0.1:1/0", tmp_path, script)
