"""The online store on a real Redis Cluster and behind a real Sentinel."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from redis.crc import key_slot

from serving_gateway.contracts.online_address import parse_address
from serving_gateway.online_cluster import OnlineCluster
from serving_gateway.online_connection import OnlineConnection, OnlineStore
from serving_gateway.online_wire import StoreLostError, command
from tests.servers import BIN, RedisServer, free_port, redis_cluster, redis_server, running, until

pytestmark = pytest.mark.integration
KEYS = [b"key %d" % n for n in range(60)]
GETS = [command(b"GET", key) for key in KEYS]
_SLOTS = 16384


def asked(store: OnlineStore, script: Callable[[OnlineStore], Awaitable[object]]) -> object:
    async def main() -> object:
        try:
            return await asyncio.wait_for(script(store), 10)
        finally:
            store.close()

    return asyncio.run(main())


async def read(store: OnlineStore) -> object:
    return await store.read(KEYS, GETS, asyncio.get_running_loop().time() + 5)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RedisServer]]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as found:
        with redis.RedisCluster(host="127.0.0.1", port=found[0].port) as client:
            for key in KEYS[:50]:
                client.set(key, b"value of " + key)
        yield found


EXPECTED = [b"value of " + key for key in KEYS[:50]] + [None] * 10


def test_every_key_is_read_where_it_lies(nodes: list[RedisServer]) -> None:
    urls = f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{nodes[2].port}"  # the first is not there
    assert asked(OnlineCluster(parse_address(urls)), read) == EXPECTED


def test_a_slot_that_moves_is_followed(nodes: list[RedisServer]) -> None:
    key, slot = KEYS[0], key_slot(KEYS[0])
    source, target = nodes[slot * 3 // _SLOTS], nodes[(slot * 3 // _SLOTS + 1) % 3]
    with redis.Redis(port=source.port) as there, redis.Redis(port=target.port) as here:
        source_id, target_id = (c.execute_command("CLUSTER", "MYID").decode() for c in (there, here))

        async def script(store: OnlineStore) -> None:
            assert await read(store) == EXPECTED
            here.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            there.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            there.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
            assert await read(store) == EXPECTED  # ASK
            for client in (here, there):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)
            assert await read(store) == EXPECTED  # MOVED
            assert await read(store) == EXPECTED

        asked(OnlineCluster(parse_address(f"redis+cluster://127.0.0.1:{source.port}")), script)


def test_errors_of_a_cluster_say_what_is_wrong(nodes: list[RedisServer]) -> None:
    nowhere = parse_address(f"redis+cluster://127.0.0.1:{free_port()}")
    with pytest.raises(StoreLostError, match=r"no node says how the cluster is cut \(127\.0\.0\.1:\d+: .*[Cc]onnect"):
        asked(OnlineCluster(nowhere), read)

    async def wrong(store: OnlineStore) -> object:
        return await store.read(KEYS[:1], [command(b"HMGET", KEYS[0], b"f")], asyncio.get_running_loop().time() + 5)

    with pytest.raises(StoreLostError, match="the store answered: WRONGTYPE"):
        asked(OnlineCluster(parse_address(f"redis+cluster://127.0.0.1:{nodes[0].port}")), wrong)


def test_a_single_redis_is_no_cluster(redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis+cluster://").removesuffix("/0")
    with pytest.raises(StoreLostError, match="cluster support disabled"):
        asked(OnlineCluster(parse_address(url)), read)


def test_sentinel_says_who_is_master_and_after_a_failover_who_is_now(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second", "sentinel")]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(redis_server(folders[0]))
        second = stack.enter_context(redis_server(folders[1], "--replicaof", "127.0.0.1", str(first.port)))
        port = free_port()
        configuration = folders[2] / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folders[2]}\n"
            f"sentinel monitor mymaster 127.0.0.1 {first.port} 1\n"
            "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n"
        )
        sentinel = stack.enter_context(redis.Redis(port=port))
        stack.enter_context(
            running(
                "sentinel",
                [BIN / "redis-server", configuration, "--sentinel"],
                folders[2],
                lambda: answers(sentinel),
                timeout_s=10,
            )
        )
        until(lambda: bool(sentinel.sentinel_slaves("mymaster")), "the Sentinel knows the replica")
        master = stack.enter_context(redis.Redis(port=first.port))
        for key in KEYS[:50]:
            master.set(key, b"value of " + key)
        assert master.wait(1, 5000) == 1
        address = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/mymaster"

        async def script(store: OnlineStore) -> None:
            assert await read(store) == EXPECTED
            await asyncio.to_thread(fail_over, first, sentinel, second.port)
            assert await read(store) == EXPECTED

        asked(OnlineConnection(parse_address(address)), script)
        with redis.Redis(port=second.port) as now:
            assert now.role()[0] == b"master"
        with pytest.raises(StoreLostError, match=r"no Sentinel says where 'other' is \(.*no such master"):
            asked(OnlineConnection(parse_address(f"redis+sentinel://127.0.0.1:{port}/other")), read)


def answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def fail_over(first: RedisServer, sentinel: "redis.Redis", expected: int) -> None:
    first.process.kill()
    until(lambda: sentinel.sentinel_get_master_addr_by_name("mymaster")[1] == expected, "the Sentinel failed over")
    with redis.Redis(port=expected) as now:
        until(lambda: now.role()[0] == b"master", "the replica became master")
