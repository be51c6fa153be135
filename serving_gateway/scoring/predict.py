"""POST /predict: parse, prepare, score, log, answer."""

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from serving_gateway.access import Tokens, require_key
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.http import ApiError, Request, Respond, Response, unavailable
from serving_gateway.identifiers import uuid7
from serving_gateway.log.spool import Spool
from serving_gateway.rollout.follower import Follower
from serving_gateway.rollout.served import Served
from serving_gateway.routing import ARM_HEADER, ROUTING_HEADER, ForcedArm, forced_arm
from serving_gateway.scoring.background import Background
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.deadlines import Deadlines
from serving_gateway.scoring.prepare import Asked, EventClock, Prepare
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.recorder import Recorder
from serving_gateway.tracing.trace import Trace


class Prediction(Struct, omit_defaults=True):
    """One answered row. `fallback_from`: the arm that failed, where the baseline stepped in."""

    prediction_id: str
    score: float
    decision: bool
    arm: ArmName
    model: str
    version: str
    fallback_from: ArmName | None = None
    degraded: bool = False


class Answer(Struct):
    """The rows in the order they were sent, by the state at (`epoch`, `generation`)."""

    request_id: str
    predictions: list[Prediction]
    generation: int
    epoch: int


_TOLD_ROWS = 16  # of a request with many, so many stand on its span
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class Predict:
    """The handler of /predict."""

    def __init__(
        self, *, keys: Tokens, follower: Follower, clock: EventClock, prepare: Prepare, deadline_s: float
    ) -> None:
        self._keys = keys
        self._follower = follower
        self._clock = clock
        self._prepare = prepare
        self._deadline_s = deadline_s
        self._deadlines = Deadlines(self._is_late)
        self._now = asyncio.get_running_loop().time

    def __call__(self, request: Request, respond: Respond) -> None:
        """Answer all rows or none. The rows are in the log before the answer leaves. Raises ApiError."""
        started = time.perf_counter()
        require_key(self._keys, request)
        served = self._follower.served
        if served is None:
            raise unavailable(f"nothing is served: {self._follower.problem}")
        asked = served.parser.parse(request.body)
        forced = forced_arm(served, request.headers.get(ARM_HEADER))
        clock_us = self._follower.clock_us
        times_us = [self._clock.now_us(clock_us) if r.event_time_us is None else r.event_time_us for r in asked.rows]

        def done(call: Call) -> None:
            _tell_trace(call)
            respond(call.error.response() if call.error else _response(call))

        deadline = self._now() + self._deadline_s
        request_id, trace = asked.request_id or uuid7(), request.trace
        if trace is not None:
            trace.request_id = request_id
        call = Call(served, request_id, len(asked.rows), started=started, deadline=deadline, done=done, trace=trace)
        self._prepare.begin(Asked(call, asked.rows, times_us, request.headers.get(ROUTING_HEADER), forced))
        self._deadlines.watch(call, deadline)

    async def answered(
        self,
        served: Served,
        vectors: Sequence[bytes],
        *,
        request_id: str,
        key: str,
        forced: ForcedArm | None,
        event_time_us: int,
        started: float,
        deadline: float,
        trace: Trace | None,
    ) -> list[ScoringRow]:
        """Rows of finished vectors (packed float32), all of one routing key: scored, logged, offered to the background.

        Latency counts from `started` (`time.perf_counter`); `deadline` is event loop time. Raises ApiError 503 or 504.
        """
        settled = asyncio.Event()
        if trace is not None:
            trace.request_id = request_id
        call = Call(
            served,
            request_id,
            len(vectors),
            started=started,
            deadline=deadline,
            done=lambda _call: settled.set(),
            trace=trace,
        )
        self._prepare.begin_with(call, vectors, key=key, forced=forced, event_time_us=event_time_us)
        self._deadlines.watch(call, deadline)
        await settled.wait()
        _tell_trace(call)
        if call.error:
            raise call.error
        return call.rows

    def _is_late(self, call: Call) -> None:
        who = "the baseline" if call.rows else "the online store"
        call.fail(ApiError(504, f"{who} did not answer within {self._deadline_s * 1000:.0f} ms (GATEWAY_DEADLINE_MS)"))


class Finish:
    """What happens to calls that are scored, many at a time: logged in one go, answered, offered to the background."""

    def __init__(self, spool: Spool, background: Background, recorder: Recorder | None = None) -> None:
        self._spool = spool
        self._background = background
        self._recorder = recorder

    def __call__(self, calls: Sequence[Call]) -> None:
        """Log, answer, offer. A call that cannot be logged is refused; it harms none of the others."""
        now_us = time.time_ns() // 1000
        step = None if self._recorder is None else self._recorder.step("log.append", calls)
        payloads: list[bytes] = []
        for call in calls:
            try:
                payloads += [encode_record(row.record(now_us)) for row in call.rows]
            except Exception:  # noqa: BLE001  a bug costs one answer, not those of a whole batch
                _log.exception("request %r cannot be logged", call.request_id, extra=call.ids)
                call.error = ApiError(500, "internal error; the gateway's log has the details")
        kept = self._spool.append(payloads)
        if step is not None:
            step.end({"drift.batch.records": len(payloads)}, "" if kept else "the log took nothing")
        for call in calls:
            try:
                call.done(call)
            except Exception:  # noqa: BLE001  as above
                _log.exception("request %r cannot be answered", call.request_id, extra=call.ids)
        self._background.offer([call for call in calls if call.error is None])


def _tell_trace(call: Call) -> None:
    """What the request's span says of it, where it is sampled."""
    trace = call.trace
    if trace is None or not trace.sampled:
        return
    trace.about = {"drift.rows": len(call.rows)}
    if call.error is None:
        answered = {row.answered_by for row in call.rows}
        trace.about |= {
            "drift.arm": sorted({arm.name for arm in answered}),
            "drift.model": sorted({arm.arm.triton_model for arm in answered}),
            "drift.prediction_id": [row.prediction_id for row in call.rows[:_TOLD_ROWS]],
            "drift.fallback": any(row.fallback_from for row in call.rows),
            "drift.degraded": any(row.degraded for row in call.rows),
        }


def _response(call: Call) -> Response:
    state = call.served.state
    answer = Answer(call.request_id, [_prediction(row) for row in call.rows], state.generation, state.epoch)
    return Response(200, _encode(answer))


def _prediction(row: ScoringRow) -> Prediction:
    arm = row.answered_by
    return Prediction(
        row.prediction_id,
        row.score,
        row.decision,
        arm.name,
        arm.arm.model,
        arm.arm.version,
        row.fallback_from,
        row.degraded,
    )
