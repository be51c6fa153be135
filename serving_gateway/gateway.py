"""One gateway process: everything made, started and stopped in order."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import get_args

from redis.exceptions import RedisError

from serving_gateway.access import Tokens
from serving_gateway.clients import online_store, redis_client, rollout_store
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.feedback import Feedback
from serving_gateway.http import Request, Respond
from serving_gateway.instruments.slots import SlotFile
from serving_gateway.log.shipper import Shipper
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.openapi.route import Description
from serving_gateway.page.document import page
from serving_gateway.page.status import Status
from serving_gateway.rollout.contract_cache import ContractCache
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.served import Loader
from serving_gateway.rollout.tripwire import Tripwire
from serving_gateway.rollout_routes import RolloutRoutes
from serving_gateway.routes import Operations, Router, awaited
from serving_gateway.scoring.background import Background
from serving_gateway.scoring.predict import Finish, Predict
from serving_gateway.scoring.prepare import EventClock, Prepare
from serving_gateway.scoring.score import CANARY_SHARE, Scorer
from serving_gateway.settings import Settings
from serving_gateway.tracing.recorder import recorder_of
from serving_gateway.transport.server import GRACE_S, HttpServer
from serving_gateway.triton.client import TritonClient
from serving_gateway.v2.table import surface
from serving_gateway.workers.identity import Worker

CATCH_UP_S = 1.0
FAREWELL_S = 1.0
TEND_S = 1.0
_log = logging.getLogger(__name__)


class Gateway:
    """Made of its settings inside a running event loop. Raises SpoolInUseError.

    Alone it opens its own socket and counts for itself. A `worker` of several is given the `listener` that they share
    and the slot `files` of them all, its own at its index.
    `grace_s`: how long idle connections may still ask after it was told to stop.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: Worker | None = None,
        listener: socket.socket | None = None,
        files: Sequence[SlotFile] = (),
    ) -> None:
        self.grace_s = GRACE_S
        self._settings = settings
        self._worker = worker or Worker()
        others = list(files)
        own = others.pop(self._worker.index) if files else SlotFile()
        self._metrics = metrics = Metrics(own, others)
        metrics.spool_limit.set(settings.spool_max_bytes)
        self._recorder = recorder_of(settings)
        deadline_s = settings.deadline_ms / 1000
        self._control = redis_client(settings)
        self._online = online_store(settings)
        self._triton = {name: TritonClient(settings.triton_http) for name in get_args(ArmName)}
        self._passed_through = TritonClient(settings.triton_http)
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
            settings.folder / "trips" / f"{settings.gateway_id}.json", enabled=settings.reflex == "on"
        )
        self._store = rollout_store(settings)
        contracts = ContractCache(settings.folder / "contracts", self._control)
        self._follower = Follower(
            gateway=settings.gateway_id,
            client=self._control,
            loader=Loader(settings, contracts, self._triton, self._online),
            memory=RolloutMemory(
                self._store,
                LastKnownGood(settings.folder / "rollout", settings.gateway_id),
                contracts.kept,
                settings.gateway_id,
            ),
            tripwire=self._tripwire,
            metrics=metrics,
        )
        self._background = Background(
            self._spool,
            metrics,
            max_rows=settings.shadow_queue_rows,
            timeout_s=deadline_s * CANARY_SHARE,  # as long as a canary has: their timeouts are compared
            recorder=self._recorder,
        )
        self._router = self._routes(metrics)
        self._server = HttpServer(self._router.handle, settings, listener, own, others)
        self._tasks: list[asyncio.Task[None]] = []

    def _routes(self, metrics: Metrics) -> Router:
        gateway = self._settings.gateway_id
        operations = Operations(
            gateway=gateway,
            worker=self._worker,
            follower=self._follower,
            tripwire=self._tripwire,
            spool=self._spool,
            metrics=metrics,
        )
        deadline_s = self._settings.deadline_ms / 1000
        clock = EventClock(replay=self._settings.replay)
        scorer = Scorer(
            metrics,
            self._tripwire,
            Finish(self._spool, self._background, self._recorder),
            deadline_s=deadline_s,
            max_rows=self._settings.queue_rows,
            group_commit=self._settings.group_commit == "on",
            recorder=self._recorder,
        )
        keys = Tokens(self._settings.api_keys)
        predict = Predict(
            keys=keys,
            follower=self._follower,
            clock=clock,
            prepare=Prepare(
                metrics,
                scorer.begin,
                degrade=self._settings.features_away == "default",
                recorder=self._recorder,
            ),
            deadline_s=deadline_s,
        )
        rollout = RolloutRoutes(
            gateway=gateway, follower=self._follower, store=self._store, admins=Tokens(self._settings.admin_tokens)
        )
        return Router(
            {
                "/": {"GET": page},
                "/status": {"GET": awaited(self._status())},
                "/openapi.json": {"GET": Description(follower=self._follower, max_rows=self._settings.max_rows)},
                "/predict": {"POST": predict},
                "/feedback": {"POST": self._feedback(metrics, keys, clock)},
                "/health": {"GET": awaited(operations.health)},
                "/ready": {"GET": awaited(operations.ready)},
                "/metrics": {"GET": awaited(operations.metrics)},
                "/rollout": {"GET": awaited(rollout.show), "PUT": awaited(rollout.change)},
                "/rollout/rollback": {"POST": awaited(rollout.roll_back)},
                "/rollout/hold": {"POST": awaited(rollout.hold)},
                "/rollout/release": {"POST": awaited(rollout.release)},
                "/rollout/approve": {"POST": awaited(rollout.approve)},
                "/rollout/history": {"GET": awaited(rollout.history)},
            },
            metrics,
            find=surface(
                keys=keys,
                follower=self._follower,
                predict=predict,
                clock=clock,
                ready=operations.ready,
                triton=self._passed_through,
                settings=self._settings,
                recorder=self._recorder,
            ),
            recorder=self._recorder,
        )

    def _feedback(self, metrics: Metrics, keys: Tokens, clock: EventClock) -> Feedback:
        return Feedback(
            keys=keys,
            spool=self._spool,
            metrics=metrics,
            max_rows=self._settings.max_rows,
            event_now_us=lambda: clock.now_us(self._follower.clock_us),
            replay=self._settings.replay,
        )

    def _status(self) -> Status:
        return Status(
            gateway=self._settings.gateway_id,
            follower=self._follower,
            tripwire=self._tripwire,
            store=self._store,
            links=self._settings.links,
        )

    async def run(self, stop: asyncio.Event, *, on_ready: Callable[[], object] = lambda: None) -> None:
        """Serve until `stop` is set, then drain; `on_ready` is called once connections are accepted.

        Raises CannotListenError, or what a background task died of.
        """
        await self.begin()
        await self._server.start()
        on_ready()
        _log.info("gateway %s listens on %s:%d", self._settings.gateway_id, self._settings.host, self._settings.port)
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        _log.info("draining")
        await self._server.drain(grace_s=self.grace_s)
        await self.end()
        stopped.cancel()
        for task in done - {stopped}:
            task.result()

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request. Raises what a background task died of: nobody else may be there to tell."""
        for task in self._tasks:
            if task.done():
                task.result()
        self._router.handle(request, respond)

    async def begin(self) -> None:
        """Serve the last known good or what stands, and start what works in the background."""
        await self._follower.restore()
        await self._follower.catch_up(timeout_s=CATCH_UP_S)
        works = (
            self._follower.poll(),
            self._follower.listen(),
            self._shipper.run(self._spool),
            self._tend_spool(),
        )
        self._tasks = [asyncio.create_task(work) for work in works]

    async def _tend_spool(self) -> None:
        """Take over what workers that died have left, lest it wait for their successors, and say how much waits."""
        while True:
            self._metrics.spool_bytes.set(self._spool.unlanded_bytes)
            await asyncio.sleep(TEND_S)
            self._spool.adopt(await asyncio.to_thread(self._spool.orphans))

    async def end(self) -> None:
        """Bring to an end what is answered already; no request may come any more."""
        await self._background.drain(timeout_s=FAREWELL_S)
        await _cancelled(self._tasks)
        # What cannot be shipped now waits in the spool for the next life; an acknowledgement grows stale by itself.
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._follower.leave()
                await self._shipper.step(self._spool)
        self._spool.close()
        for client in (*self._triton.values(), self._passed_through):
            client.close()
        self._online.close()
        await self._control.aclose()
        if self._recorder is not None:
            await self._recorder.close(FAREWELL_S)


async def _cancelled(tasks: Iterable["asyncio.Task[None]"]) -> None:
    """Cancel until every task has ended: a redis-py command that begins just then takes the cancellation for itself."""
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.05)
