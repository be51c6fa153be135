"""The gateway's clients of Redis: rollout and log, the rollout store for threads, the online store."""

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from serving_gateway.contracts.online_address import parse_address
from serving_gateway.control.store import RolloutStore
from serving_gateway.online_cluster import OnlineCluster
from serving_gateway.online_connection import OnlineConnection, OnlineStore
from serving_gateway.settings import Settings

REDIS_CONNECTIONS = 8  # for the rollout, the log and who listens; features have a connection of their own
REDIS_TIMEOUT_S = 1.0


def rollout_store(settings: Settings) -> RolloutStore:
    """The synchronous client, for what runs in a thread: it must not hold a poll up for long."""
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
    )
    return RolloutStore(client)


def redis_client(settings: Settings) -> "redis.asyncio.Redis":
    """A client that waits for one of a bounded number of connections, and retries once: a pooled one may be stale."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        retry=redis.asyncio.retry.Retry(NoBackoff(), 1),
    )
    return redis.asyncio.Redis.from_pool(pool)


def online_store(settings: Settings) -> OnlineStore:
    """The online store, one connection or a cluster's."""
    address = parse_address(settings.features_redis_url)
    return OnlineCluster(address) if address.kind == "cluster" else OnlineConnection(address)
