"""POST …/infer: the rolled-out model by the split, one of its versions past it, any other model as Triton has it."""

import asyncio
import time
from typing import Any

from msgspec import UNSET, Struct

from serving_gateway.access import Tokens, require_key
from serving_gateway.contracts.rollout import Arm
from serving_gateway.contracts.split import routing_key
from serving_gateway.http import ApiError, Request, Response
from serving_gateway.identifiers import uuid7
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.served import Served
from serving_gateway.routing import ARM_HEADER, ROUTING_HEADER, forced_arm
from serving_gateway.scoring.predict import Predict
from serving_gateway.scoring.prepare import EventClock
from serving_gateway.triton.messages import Reply
from serving_gateway.v2.documents import decoded, tritons, without_values, written
from serving_gateway.v2.encoding import compressed, plain_body
from serving_gateway.v2.naming import arm_asked
from serving_gateway.v2.refusals import NO_SHARED_MEMORY
from serving_gateway.v2.tensors import (
    HEADER_LENGTH,
    TensorParameters,
    answer,
    asked_of,
    parts,
)
from serving_gateway.v2.upstream import Upstream, passed_back


class _Tensor(Struct, frozen=True):
    parameters: TensorParameters = TensorParameters()


class _Tensors(Struct, frozen=True):
    """An infer request of any model, as far as it is looked at."""

    inputs: list[_Tensor] = []
    outputs: list[_Tensor] = []


class Infer:
    """The handler of both infer paths."""

    def __init__(
        self,
        *,
        keys: Tokens,
        follower: Follower,
        predict: Predict,
        clock: EventClock,
        upstream: Upstream,
        deadline_s: float,
        max_body_bytes: int,
        max_rows: int,
    ) -> None:
        self._keys = keys
        self._follower = follower
        self._predict = predict
        self._clock = clock
        self._upstream = upstream
        self._deadline_s = deadline_s
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows

    async def __call__(self, request: Request, *, model: str, version: str | None = None) -> Response:
        """Answer within the deadline."""
        started = time.perf_counter()
        require_key(self._keys, request)
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        served = self._follower.served
        arm = arm_asked(served, model, version)
        try:
            async with asyncio.timeout_at(deadline):
                body = await plain_body(request, max_bytes=self._max_body_bytes)
        except TimeoutError:
            raise ApiError(504, "the body was not inflated in time: send it plain, or less of it") from None
        if served is not None and arm is not None and version is None:
            return await self._by_split(request, body, served, started, deadline)
        _refuse_shared_memory(request, body)
        if arm is None:
            return passed_back(await self._upstream.send(request, deadline, body=body, compressible=True))
        path = f"/v2/models/{arm.triton_model}/infer"
        reply = await self._upstream.send(request, deadline, path=path, body=body)
        return compressed(_under_its_name(reply, model, arm), request)

    async def _by_split(
        self, request: Request, body: bytes, served: Served, started: float, deadline: float
    ) -> Response:
        contract = served.baseline.contract
        asked = asked_of(request.headers, body, contract, max_rows=self._max_rows)
        request_id = asked.id or uuid7()
        rows = await self._predict.answered(
            served,
            asked.rows,
            request_id=request_id,
            key=routing_key(request.headers.get(ROUTING_HEADER), {}, request_id),
            forced=forced_arm(served, request.headers.get(ARM_HEADER)),
            event_time_us=self._clock.now_us(self._follower.clock_us),
            started=started,
            deadline=deadline,
            trace=request.trace,
        )
        model = served.state.arms.baseline.model
        return compressed(answer(asked, rows, model=model, output_tensor=contract.output_tensor), request)


def _refuse_shared_memory(request: Request, body: bytes) -> None:
    """Raises ApiError 400 where a tensor is to be read from or written to shared memory."""
    document, _ = parts(request.headers, body)
    if not document:
        return
    tensors = decoded(without_values(document), _Tensors)
    if any(t.parameters.shared_memory_region is not UNSET for t in (*tensors.inputs, *tensors.outputs)):
        raise ApiError(400, NO_SHARED_MEMORY)


def _under_its_name(reply: Reply, model: str, arm: Arm) -> Response:
    """Triton's reply with the names that callers know; an error as it is."""
    response = passed_back(reply)
    if reply.status != 200:
        return response
    try:
        head, tensors = parts(reply.headers, reply.body)
    except ApiError as error:
        raise ApiError(502, f"Triton's reply cannot be read: {error}") from error
    document = tritons(head, dict[str, Any])
    document |= {"model_name": model, "model_version": arm.version}
    head = written(document)
    lengths = {HEADER_LENGTH: str(len(head))}
    headers = tuple((name, lengths.get(name, value)) for name, value in response.headers)
    return Response(200, head + tensors, response.content_type, headers)
