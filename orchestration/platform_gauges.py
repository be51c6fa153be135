"""What nobody else tells Prometheus: the event clock, the rollout in the store, Redis itself, MLflow."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import redis

from orchestration.embedded.health import probes
from orchestration.event_clock import event_time
from orchestration.features.store import online_client
from orchestration.gauges import Gauge
from orchestration.rollout.gauges import convergence_gauges, state_gauges
from orchestration.settings import Settings
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore

FILE = "platform.prom.txt"
_TIMEOUT_S = 2.0
_INFO = (
    ("redis_memory_used_bytes", "used_memory", "Memory that Redis uses"),
    ("redis_memory_limit_bytes", "maxmemory", "Memory that Redis may use, 0 without a limit"),
    ("redis_clients", "connected_clients", "Connections to Redis"),
    ("redis_evicted_keys", "evicted_keys", "Keys that Redis threw away for want of memory, since it started"),
)


def platform_gauges(settings: Settings, now: datetime) -> list[Gauge]:
    """Everything that can be told at `now` (wall clock).

    Of a Redis that is away only that it is, and no event clock while a replay has not set it.
    `store` is control (REDIS_URL: rollout, prediction log, events) or online (FEATURES_REDIS_URL: features).

    Raises UnreadableDocumentError where the store holds something else than a rollout.
    """
    found = [
        Gauge("platform_look_timestamp_seconds", {}, now.timestamp(), "When the platform was last looked at"),
        Gauge("mlflow_up", {}, probes(settings)["mlflow"](), "1 while MLflow answers"),
    ]
    control = redis.Redis.from_url(
        settings.redis_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None
    )
    try:
        found += [*_of_control(control, settings), *_of_redis(control, "control")]
    except redis.RedisError:
        found.append(_up("control", False))
    try:
        found += _of_redis(online_client(settings.features_redis_url, timeout_s=_TIMEOUT_S), "online")
    except redis.RedisError:
        found.append(_up("online", False))
    return found


def _of_control(client: "redis.Redis", settings: Settings) -> Iterator[Gauge]:
    store = RolloutStore(client)
    clock = event_time(settings, store)
    if clock is not None:
        yield Gauge("event_clock_timestamp_seconds", {}, clock.timestamp(), "What the event clock says")
    waiting = "Batches of the prediction log in Redis that are not in Parquet yet"
    yield Gauge("predictions_waiting_batches", {}, float(str(client.xlen(keys.PREDICTIONS))), waiting)
    state = store.read()
    if state is not None:
        yield from state_gauges(state)
        yield from convergence_gauges(state, store.heard())


def _of_redis(client: "redis.Redis | redis.RedisCluster", store: str) -> list[Gauge]:
    """Memory, connections and durability; of a cluster the sums over its primaries."""
    of = {"store": store}
    nodes = _info(client)
    sums = [Gauge(name, of, sum(float(node[field]) for node in nodes), said) for name, field, said in _INFO]
    kept = all(
        node["aof_enabled"] and node["aof_last_write_status"] == node["aof_last_bgrewrite_status"] == "ok"
        for node in nodes
    )
    return [
        _up(store, True),
        *sums,
        Gauge("redis_keys", of, sum(map(_keys, nodes)), "Keys in Redis"),
        Gauge("redis_aof_ok", of, kept, "1 while the append-only file is on and could be written last time"),
    ]


def _info(client: "redis.Redis | redis.RedisCluster") -> list[Mapping[str, Any]]:
    if not isinstance(client, redis.RedisCluster):
        return [client.info()]
    found: dict[str, Any] = client.info(target_nodes=redis.RedisCluster.PRIMARIES)
    return [found] if "used_memory" in found else list(found.values())  # of one primary it is given bare


def _keys(node: Mapping[str, Any]) -> int:
    return sum(found["keys"] for name, found in node.items() if name.startswith("db") and isinstance(found, dict))


def _up(store: str, up: bool) -> Gauge:
    return Gauge("redis_up", {"store": store}, up, "1 while Redis answers")
