"""The rollout over HTTP: what is served, by whom, how it came to that; and changes, for those who have the token."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec
from redis.exceptions import RedisError

from serving_gateway.access import Tokens, administrator
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.changes import Change, Rollback, Ruling, Word, apply, roll_back, rule
from serving_gateway.control.store import NoRolloutError, RolloutStore, StaleGenerationError, UnreadableDocumentError
from serving_gateway.control.transitions import NotPossibleError
from serving_gateway.http import ApiError, Request, Response, json_response, unavailable
from serving_gateway.parsing import decoded
from serving_gateway.rollout.follower import Follower

LONGEST_WAIT_S = 30
LONGEST_HISTORY = 500
_POLL_S = 0.02
_MAX_DIGITS = 18
_change = msgspec.json.Decoder(Change)
_rollback = msgspec.json.Decoder(Rollback)
_word = msgspec.json.Decoder(Word)
_Result = TypeVar("_Result")


class RolloutRoutes:
    """Handlers of /rollout and what is below it. The store is synchronous and is asked in a thread."""

    def __init__(self, *, gateway: str, follower: Follower, store: RolloutStore, admins: Tokens) -> None:
        self._gateway = gateway
        self._follower = follower
        self._store = store
        self._admins = admins

    async def show(self, _request: Request) -> Response:
        """The rollout state as served here, and by which gateways it is served; the latter is null without the store."""
        served = self._follower.served
        if served is None:
            raise unavailable(self._follower.problem)
        return json_response(
            {
                "gateway": self._gateway,
                "state": served.state,
                "canary_weight_bp": served.canary_weight_bp,
                "refused": served.refused,
                "stopped": served.stopped,
                "problem": self._follower.problem,
                "gateways": await self._gateways(),
            }
        )

    async def history(self, request: Request) -> Response:
        """The newest changes first."""
        count = _number(request, "count", default=20, low=1, high=LONGEST_HISTORY)
        _, changes = await self._asked(lambda: self._store.known_since(None))
        return json_response({"history": changes[-count:][::-1]})

    async def change(self, request: Request) -> Response:
        """PUT: change what is served. 409 with the state that stands where the change does not fit it."""
        actor = administrator(self._admins, request)
        asked: Change = decoded(_change, request.body)
        if asked.arms is None and asked.canary_weight_bp is None and asked.shadow_fraction is None:
            raise ApiError(400, "nothing to change: send arms, canary_weight_bp or shadow_fraction")
        return await self._write(request, lambda: apply(self._store, asked, actor=actor, now=datetime.now(UTC)))

    async def roll_back(self, request: Request) -> Response:
        """POST: take the canary's traffic away. Where there is none, nothing changes and that is said."""
        actor = administrator(self._admins, request)
        asked: Rollback = decoded(_rollback, request.body)
        return await self._write(request, lambda: roll_back(self._store, asked, actor=actor, now=datetime.now(UTC)))

    async def hold(self, request: Request) -> Response:
        """POST: the trial stays at its step until it is released. 409 where no steps lead one, as for the next two."""
        return await self._rule(request, "hold")

    async def release(self, request: Request) -> Response:
        """POST: the trial may go on."""
        return await self._rule(request, "release")

    async def approve(self, request: Request) -> Response:
        """POST: the trial may leave this step, once the rest of what the step asks for is there."""
        return await self._rule(request, "approve")

    async def _rule(self, request: Request, ruling: Ruling) -> Response:
        actor = administrator(self._admins, request)
        said: Word = decoded(_word, request.body)
        return await self._write(request, lambda: rule(self._store, ruling, said, actor=actor, now=datetime.now(UTC)))

    async def _write(self, request: Request, act: Callable[[], tuple[RolloutState, bool]]) -> Response:
        wait_s = _number(request, "wait", default=0, low=0, high=LONGEST_WAIT_S)
        await self._look()  # a store that lost its memory is told first: else this would be a change of something else
        try:
            state, changed = await self._asked(act)
        except (StaleGenerationError, NotPossibleError, NoRolloutError) as error:
            return await self._conflict(error)
        with suppress(ApiError):  # the change stands; that this gateway serves it may come later
            await self._look()
        answer: dict[str, object] = {"changed": changed, "state": state}
        if wait_s:
            answer |= await self._waited(state, wait_s)
        return json_response(answer)

    async def _conflict(self, error: Exception) -> Response:
        stands = error.current if isinstance(error, StaleGenerationError) else await self._asked(self._store.read)
        return json_response({"error": {"path": "$", "message": str(error)}, "state": stands}, 409)

    async def _waited(self, state: RolloutState, wait_s: float) -> dict[str, object]:
        """Which live gateways serve `state`. Asked again and again: a thread that waited would be missed elsewhere."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while True:
            try:
                gateways = await asyncio.to_thread(self._store.wait_until_served, state, timeout_s=0)
                problem = "no gateway has said yet what it serves"  # this one will
            except TimeoutError as error:
                gateways, problem = [], str(error)
            except (RedisError, OSError, UnreadableDocumentError) as error:
                return {"served_by": None, "problem": f"the rollout store cannot say who serves it: {error}"}
            if gateways:
                return {"served_by": [said.gateway for said in gateways]}
            if asyncio.get_running_loop().time() >= deadline:
                return {"served_by": None, "problem": problem}
            await asyncio.sleep(_POLL_S)

    async def _gateways(self) -> list[dict[str, object]] | None:
        if not self._follower.store_up:
            return None
        try:
            heard = await asyncio.to_thread(self._store.heard)
        except (RedisError, OSError, UnreadableDocumentError):
            return None
        return [msgspec.structs.asdict(said) | {"age_s": round(age_s, 3)} for said, age_s in heard]

    async def _look(self) -> None:
        try:
            await self._follower.look()
        except (RedisError, OSError) as error:
            raise unavailable(f"nothing was changed: the rollout store (Redis) does not answer: {error}") from error

    async def _asked(self, question: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.to_thread(question)
        except (RedisError, OSError) as error:
            raise unavailable(f"the rollout store (Redis) does not answer, look before you repeat: {error}") from error
        except UnreadableDocumentError as error:
            raise unavailable(str(error)) from error


def _number(request: Request, name: str, *, default: int, low: int, high: int) -> int:
    """A whole number of the query. Raises ApiError 400."""
    values = parse_qs(request.query, keep_blank_values=True).get(name, [str(default)])
    text = values[-1]
    # int() refuses thousands of digits
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and low <= int(text) <= high):
        raise ApiError(400, f"{name} must be a whole number from {low} to {high}, got {text[:40]!r}", path=f"?{name}")
    return int(text)
