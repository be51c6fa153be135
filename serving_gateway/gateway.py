"""One gateway process: everything made, started and stopped in order."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import get_args

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serving_gateway.contracts.prediction import ArmName
from serving_gateway.control.store import RolloutStore
from serving_gateway.feedback import Feedback
from serving_gateway.log.shipper import Shipper
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.page.document import page
from serving_gateway.page.status import Status
from serving_gateway.rollout.contract_cache import ContractCache
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.served import Loader
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.routes import Operations, Router, awaited
from serving_gateway.scoring.background import Background
from serving_gateway.scoring.predict import Finish, Predict
from serving_gateway.scoring.prepare import EventClock, Prepare
from serving_gateway.scoring.score import Scorer
from serving_gateway.settings import Settings
from serving_gateway.transport.server import HttpServer
from serving_gateway.triton.client import TritonClient

REDIS_CONNECTIONS = 32
CATCH_UP_S = 1.0
FAREWELL_S = 1.0
_log = logging.getLogger(__name__)


class Gateway:
    """Made of its settings inside a running event loop. Raises SpoolInUseError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        deadline_s = settings.deadline_ms / 1000
        self._control = _redis(settings, timeout_s=1.0)
        self._online = _redis(settings, timeout_s=deadline_s)
        self._triton = {name: TritonClient(settings.triton_http) for name in get_args(ArmName)}
        metrics = Metrics()
        self._shipper = Shipper(self._control)
        self._spool = Spool(
            settings.folder / "spool",
            settings.gateway_id,
            max_bytes=settings.spool_max_bytes,
            on_append=self._shipper.wake,
            on_drop=metrics.spool_dropped.inc,
            on_damage=metrics.spool_damaged.inc,
        )
        self._tripwire = Tripwire(
            settings.folder / "trips" / f"{settings.gateway_id}.json",
            RolloutStore.connect(settings.redis_url),
            settings.gateway_id,
            enabled=settings.reflex == "on",
        )
        self._follower = Follower(
            gateway=settings.gateway_id,
            client=self._control,
            loader=Loader(
                settings, ContractCache(settings.folder / "contracts", self._control), self._triton, self._online
            ),
            last_known_good=LastKnownGood(settings.folder / "rollout", settings.gateway_id),
            tripwire=self._tripwire,
            metrics=metrics,
        )
        self._background = Background(self._spool, metrics, max_rows=settings.shadow_queue_rows, timeout_s=deadline_s)
        self._server = HttpServer(self._router(metrics).handle, settings)
        self._tasks: list[asyncio.Task[None]] = []

    def _router(self, metrics: Metrics) -> Router:
        gateway = self._settings.gateway_id
        operations = Operations(
            gateway=gateway, follower=self._follower, tripwire=self._tripwire, spool=self._spool, metrics=metrics
        )
        deadline_s = self._settings.deadline_ms / 1000
        clock = EventClock(replay=self._settings.replay)
        scorer = Scorer(
            metrics,
            self._tripwire,
            Finish(self._spool, self._background),
            deadline_s=deadline_s,
            max_rows=self._settings.queue_rows,
            group_commit=self._settings.group_commit == "on",
        )
        predict = Predict(
            follower=self._follower,
            clock=clock,
            prepare=Prepare(metrics, scorer.begin),
            deadline_s=deadline_s,
        )
        feedback = Feedback(
            spool=self._spool,
            metrics=metrics,
            max_rows=self._settings.max_rows,
            event_now_us=lambda: clock.now_us(self._follower.clock_us),
            replay=self._settings.replay,
        )
        status = Status(
            gateway=gateway,
            follower=self._follower,
            tripwire=self._tripwire,
            store=RolloutStore.connect(self._settings.redis_url),
            links=self._settings.links,
        )
        return Router(
            {
                "/": {"GET": page},
                "/status": {"GET": awaited(status)},
                "/predict": {"POST": predict},
                "/feedback": {"POST": feedback},
                "/health": {"GET": awaited(operations.health)},
                "/ready": {"GET": awaited(operations.ready)},
                "/metrics": {"GET": awaited(operations.metrics)},
                "/rollout": {"GET": awaited(operations.rollout)},
            },
            metrics,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain. Raises CannotListenError, or what a background task died of."""
        await self._follower.restore()
        await self._follower.catch_up(timeout_s=CATCH_UP_S)
        await self._server.start()
        _log.info("gateway %s listens on %s:%d", self._settings.gateway_id, self._settings.host, self._settings.port)
        works = (
            self._follower.poll(),
            self._follower.listen(),
            self._tripwire.run(),
            self._shipper.run(self._spool),
        )
        self._tasks = [asyncio.create_task(work) for work in works]
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        await self._close()
        stopped.cancel()
        for task in done - {stopped}:
            task.result()

    async def _close(self) -> None:
        _log.info("draining")
        await self._server.drain()
        await self._background.drain(timeout_s=FAREWELL_S)
        await _cancelled(self._tasks)
        # What cannot be shipped now waits in the spool for the next life; an acknowledgement grows stale by itself.
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._follower.leave()
                await self._shipper.step(self._spool)
        self._spool.close()
        for client in self._triton.values():
            client.close()
        await self._online.aclose()
        await self._control.aclose()


async def _cancelled(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel until every task has ended: a redis-py command that begins just then takes the cancellation for itself."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.05)


def _redis(settings: Settings, *, timeout_s: float) -> "redis.asyncio.Redis":
    """A client that waits for one of a bounded number of connections, and retries once: a pooled one may be stale."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=REDIS_CONNECTIONS,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 1),
    )
    return redis.asyncio.Redis.from_pool(pool)
