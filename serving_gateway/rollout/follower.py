"""Follows the rollout state by push with a poll behind it, and says at once what is served."""

import asyncio
import logging
import time
from datetime import UTC, datetime

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from serving_gateway.contracts.rollout import RolloutState, decode_state
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, UnreadableDocumentError
from serving_gateway.documents import UNREADABLE
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.served import Loader, NotServableError, Served
from serving_gateway.rollout.tripwire import Trip, Tripwire

POLL_S = 0.25
ACKNOWLEDGE_S = 1.0
_NOTHING_YET = "no rollout state yet: publish a model first"
_log = logging.getLogger(__name__)


class Follower:
    """Holds `served`, the snapshot that requests use, and `problem`, why there is none or no newer one."""

    def __init__(
        self,
        *,
        gateway: str,
        client: "redis.asyncio.Redis",
        loader: Loader,
        memory: RolloutMemory,
        tripwire: Tripwire,
        metrics: Metrics,
    ) -> None:
        self._gateway = gateway
        self._redis = client
        self._loader = loader
        self._memory = memory
        self._tripwire = tripwire
        self._metrics = metrics
        self._looking = asyncio.Lock()
        self._again = asyncio.Event()
        self._acknowledged_at = float("-inf")
        self.served: Served | None = None
        self.clock_us: int | None = None
        self.store_up = False
        self.problem = _NOTHING_YET
        tripwire.on_trip = self._stop_canary

    async def restore(self) -> None:
        """Serve the last known good of this machine, if there is one; Redis need not be up."""
        state = self._memory.newest
        if state is None:
            return
        try:
            self._set_problem(await self._load(state))
        except (RedisError, OSError) as error:
            self._set_problem(f"a contract of the last known good state has to come from Redis: {error}")

    async def catch_up(self, *, timeout_s: float) -> None:
        """Look once at what stands, so that no request is served by a state that was left behind. Redis need not be up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.look()
        except (RedisError, OSError, TimeoutError) as error:
            _log.warning("starting without a look at the rollout store: %s", error or type(error).__name__)

    async def poll(self) -> None:
        """Poll forever."""
        while True:
            try:
                await self.look()
                if time.monotonic() - self._acknowledged_at >= ACKNOWLEDGE_S:
                    await self._acknowledge()
                self._set_store_up(True)
            except (RedisError, OSError, TimeoutError) as error:
                self._set_store_up(False, error)
            try:
                async with asyncio.timeout(POLL_S):
                    await self._again.wait()
            except TimeoutError:
                continue
            self._again.clear()

    async def listen(self) -> None:
        """Look again whenever a change is pushed, forever. What is missed while away, the poll finds."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(keys.CHANGED)
                    while True:
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=5.0)
                        if message is not None:
                            self._again.set()
            except (RedisError, OSError, TimeoutError):  # the poll reports it
                await asyncio.sleep(POLL_S)

    async def leave(self) -> None:
        """Take back the acknowledgement: this gateway serves nothing any more."""
        await self._redis.hdel(keys.ACKS, self._gateway)

    async def look(self) -> None:
        """Serve what stands in the store, once the store knows what was served here.

        Raises RedisError, OSError or TimeoutError while the store is away.
        """
        async with self._looking:
            document, clock = await self._redis.mget(keys.ROLLOUT, keys.CLOCK)
            clock_problem = self._take_clock(clock)
            self._set_problem(await self._take_state(document) or clock_problem)

    async def _take_state(self, document: bytes | str | None) -> str:
        """Returns what is wrong."""
        trip = self._tripwire.trip
        try:
            state = None if document is None else decode_state(document)
            if state is not None and self._serves(state) and trip is None:
                return ""
            history = await asyncio.to_thread(self._memory.following, trip, datetime.now(UTC))
        except (*UNREADABLE, UnreadableDocumentError) as error:
            return self._with_trip(f"the rollout state in the store is unreadable: {error}")
        except (RedisError, OSError) as error:
            self._with_trip(str(error))
            raise
        problem = await self._serve_last(history)
        if trip is not None and not problem:
            self._tripwire.settle(trip)
        return problem

    def _serves(self, state: RolloutState) -> bool:
        return self.served is not None and self.served.state == state and not self.served.awaited

    def _with_trip(self, problem: str) -> str:
        trip = self._tripwire.trip
        if trip is not None:
            _log.warning("the rollback of %s is not in the store yet: %s", trip.triton_model, problem)
        return problem

    async def _serve_last(self, history: list[RolloutState]) -> str:
        if not history:
            return _NOTHING_YET
        state = history[-1]
        if self._serves(state):
            return ""
        problem = await self._load(state)
        if not problem:
            # A gateway that stops just now still keeps what it has served.
            await asyncio.shield(asyncio.to_thread(self._memory.keep, history))
        return problem

    async def _load(self, state: RolloutState) -> str:
        try:
            served = await self._loader.load(state, stopped=False)
        except NotServableError as error:
            return str(error)
        served = msgspec.structs.replace(served, stopped=self._tripwire.stops(state))  # it may trip while this loads
        if self.served is None or self.served.state != state:
            _log.info("serving epoch %d, generation %d: %s", *state.position, state.reason)
        self._serve(served)
        return ""

    def _take_clock(self, clock: bytes | str | None) -> str:
        """Follow the event clock, or say what is wrong with it: an unreadable one is none."""
        try:
            self.clock_us = self.clock_us if clock is None else int(clock)
        except ValueError:
            self.clock_us = None
            return f"the event clock in the store is unreadable: {clock!r}"
        return ""

    def _serve(self, served: Served) -> None:
        self.served = served
        self._acknowledged_at = float("-inf")
        self._metrics.epoch.set(served.state.epoch)
        self._metrics.generation.set(served.state.generation)
        self._metrics.weight.set(served.canary_weight_bp / 10_000)
        for name in ("canary", "shadow"):
            self._metrics.refused(name).set(name in served.refused)

    def _stop_canary(self, trip: Trip) -> None:
        self._metrics.reflex_trips.inc()
        if self.served is not None and self._tripwire.stops(self.served.state):
            _log.info("weight 0 for %s here", trip.triton_model)
            self._serve(msgspec.structs.replace(self.served, stopped=True))
            self._again.set()

    async def _acknowledge(self) -> None:
        if self.served is None:
            return
        seconds, micros = await self._redis.time()
        served = self.served
        acknowledgement = Acknowledgement(
            self._gateway, *served.state.position, served.canary_weight_bp, seen_at=seconds + micros / 1e6
        )
        await self._redis.hset(keys.ACKS, self._gateway, msgspec.json.encode(acknowledgement))
        self._acknowledged_at = time.monotonic()

    def _set_problem(self, problem: str) -> None:
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem

    def _set_store_up(self, up: bool, error: Exception | None = None) -> None:
        if self.store_up and not up:
            _log.warning("the rollout store does not answer, the last known good is served: %s", error)
        self.store_up = up
        self._metrics.store_up.set(up)
