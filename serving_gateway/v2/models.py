"""What is asked about server and models: of the rolled-out model under its own name, of any other as Triton says it."""

import asyncio
from typing import Any

from msgspec import Struct

from serving_gateway.contracts.rollout import Arm
from serving_gateway.http import Request, Response, json_response, unavailable
from serving_gateway.rollout.follower import Follower
from serving_gateway.routes import RouteHandler
from serving_gateway.triton.messages import Reply
from serving_gateway.v2.documents import decoded, tritons
from serving_gateway.v2.encoding import plain_body
from serving_gateway.v2.naming import arm_asked, arms_of, renamed
from serving_gateway.v2.upstream import Upstream, passed_back

_NOT_OFFERED = ("shared_memory", "trace", "logging", "model_repository(")


class _Statistics(Struct, frozen=True):
    model_stats: list[dict[str, Any]]


class _AnyObject(Struct, frozen=True):
    pass


class Models:
    """Handlers of what is read, not scored."""

    def __init__(
        self, *, follower: Follower, ready: RouteHandler, upstream: Upstream, deadline_s: float, max_body_bytes: int
    ) -> None:
        self._follower = follower
        self._ready = ready
        self._upstream = upstream
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes

    async def server(self, _request: Request) -> Response:
        """Triton's name and version, and those of its extensions that work through here."""
        reply = await self._ask("/v2")
        if reply.status != 200:
            return passed_back(reply)
        document = tritons(reply.body, dict[str, Any])
        extensions = [e for e in document.get("extensions", ()) if not any(part in e for part in _NOT_OFFERED)]
        return json_response(document | {"extensions": extensions})

    async def live(self, _request: Request) -> Response:
        """200: the gateway answers."""
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """200 when the gateway is ready, by its own /ready; raises what that raises."""
        await self._ready(request)
        return json_response({"live": True, "ready": True})

    async def model_ready(self, request: Request, *, model: str, version: str | None = None) -> Response:
        """200 when Triton has the model loaded."""
        arm = arm_asked(self._follower.served, model, version)
        if arm is None:
            return await self._as_triton_says(request)
        reply = await self._ask(f"/v2/models/{arm.triton_model}/ready")
        if reply.status != 200:
            raise unavailable(f"Triton does not have {arm.triton_model} ready")
        return json_response({"name": model, "ready": True})

    async def metadata(self, request: Request, *, model: str, version: str | None = None) -> Response:
        """Tensors of the model; `versions` are the registered ones of the arms."""
        served = self._follower.served
        arm = arm_asked(served, model, version)
        if served is None or arm is None:
            return await self._as_triton_says(request)
        versions = [a.version for a in arms_of(served.state)]
        return await self._with(f"/v2/models/{arm.triton_model}", name=model, versions=versions)

    async def config(self, request: Request, *, model: str, version: str | None = None) -> Response:
        """Triton's configuration of the model."""
        arm = arm_asked(self._follower.served, model, version)
        if arm is None:
            return await self._as_triton_says(request)
        return await self._with(f"/v2/models/{arm.triton_model}/config", name=model)

    async def stats(self, request: Request, *, model: str, version: str | None = None) -> Response:
        """Triton's statistics: of one version, or of every arm that Triton has loaded."""
        served = self._follower.served
        arm = arm_asked(served, model, version)
        if served is None or arm is None:
            return await self._as_triton_says(request)
        arms = arms_of(served.state) if version is None else [arm]
        replies = await asyncio.gather(*(self._ask(f"/v2/models/{a.triton_model}/stats") for a in arms))
        if replies[0].status != 200:
            return passed_back(replies[0])
        found = [_stats(reply, model, a) for reply, a in zip(replies, arms, strict=True) if reply.status == 200]
        return json_response({"model_stats": [entry for entries in found for entry in entries]})

    async def all_stats(self, _request: Request) -> Response:
        """Statistics of every model, those of arms under the names that callers know."""
        reply = await self._ask("/v2/models/stats")
        if reply.status != 200:
            return passed_back(reply)
        entries = tritons(reply.body, _Statistics).model_stats
        return json_response({"model_stats": renamed(entries, self._follower.served)})

    async def index(self, request: Request) -> Response:
        """Triton's models and their state, arms under the names that callers know."""
        body = await plain_body(request, max_bytes=self._max_body_bytes)
        if body:  # Triton says 500 to what is no JSON
            decoded(body, _AnyObject)
        reply = await self._upstream.send(request, self._deadline, body=body)
        if reply.status != 200:
            return passed_back(reply)
        return json_response(renamed(tritons(reply.body, list[dict[str, Any]]), self._follower.served))

    @property
    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._deadline_s

    async def _ask(self, path: str) -> Reply:
        return await self._upstream.get(path, self._deadline)

    async def _as_triton_says(self, request: Request) -> Response:
        return passed_back(await self._upstream.send(request, self._deadline, compressible=True))

    async def _with(self, path: str, **true: object) -> Response:
        """Triton's document at `path` with some members told as callers know them."""
        reply = await self._ask(path)
        return json_response(tritons(reply.body, dict[str, Any]) | true) if reply.status == 200 else passed_back(reply)


def _stats(reply: Reply, model: str, arm: Arm) -> list[dict[str, Any]]:
    entries = tritons(reply.body, _Statistics).model_stats
    return [entry | {"name": model, "version": arm.version} for entry in entries]
