"""GET /status: what is served here, what the store knows of the others, and what changed last, as one document."""

import asyncio
import time
from collections.abc import Mapping

from msgspec import Struct
from redis.exceptions import RedisError

from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError
from serving_gateway.http import Request, Response, json_response
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.served import Served
from serving_gateway.rollout.tripwire import Trip, Tripwire

HISTORY = 20
PATIENCE_S = 1.0


class Heard(Struct, frozen=True):
    """What a gateway serves by its own word, said `age_s` seconds ago."""

    gateway: str
    epoch: int
    generation: int
    canary_weight_bp: int
    age_s: float


class Shared(Struct, frozen=True):
    """What the store knows: None where it cannot be asked, and then `problem` says why. `history` is newest first."""

    up: bool
    problem: str = ""
    gateways: list[Heard] | None = None
    history: list[RolloutState] | None = None


class Serving(Struct, frozen=True):
    """What this gateway does with the state. `ready`: Triton has the baseline loaded."""

    ready: bool
    canary_weight_bp: int
    stopped: bool
    refused: dict[ArmName, str]


class StatusDocument(Struct, frozen=True):
    """`now` is this machine's clock in UNIX seconds; `state` and `serving` are None before anything is served."""

    now: float
    gateway: str
    problem: str
    state: RolloutState | None
    serving: Serving | None
    trip: Trip | None
    store: Shared
    links: Mapping[str, str]


class Status:
    """The handler of /status. However many pages ask, the store is asked by one thread at a time."""

    def __init__(
        self, *, gateway: str, follower: Follower, tripwire: Tripwire, store: RolloutStore, links: Mapping[str, str]
    ) -> None:
        self._gateway = gateway
        self._follower = follower
        self._tripwire = tripwire
        self._store = store
        self._links = links
        self._asking: asyncio.Task[Shared] | None = None

    async def __call__(self, _request: Request) -> Response:
        """200 whatever is the matter: the document says it."""
        served = self._follower.served
        shared, serving = await asyncio.gather(self._shared(), _serving(served))
        document = StatusDocument(
            now=time.time(),
            gateway=self._gateway,
            problem=self._follower.problem,
            state=served.state if served else None,
            serving=serving,
            trip=self._tripwire.trip,
            store=shared,
            links=self._links,
        )
        return json_response(document)

    async def _shared(self) -> Shared:
        if not self._follower.store_up:
            return Shared(up=False, problem="Redis does not answer this gateway")
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(asyncio.to_thread(_asked, self._store))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(self._asking)
        except TimeoutError:
            return Shared(up=False, problem="Redis does not answer in time")


async def _serving(served: Served | None) -> Serving | None:
    if served is None:
        return None
    return Serving(
        ready=await served.baseline.is_ready(),
        canary_weight_bp=served.canary_weight_bp,
        stopped=served.stopped,
        refused=served.refused,
    )


def _asked(store: RolloutStore) -> Shared:
    try:
        heard = [
            Heard(a.gateway, a.epoch, a.generation, a.canary_weight_bp, round(age_s, 1)) for a, age_s in store.heard()
        ]
        return Shared(up=True, gateways=heard, history=store.history(HISTORY))
    except UnreadableDocumentError as error:
        return Shared(up=True, problem=str(error))
    except (RedisError, OSError) as error:
        return Shared(up=False, problem=f"Redis cannot be asked: {error}")
