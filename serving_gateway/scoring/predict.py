"""POST /predict: parse, prepare, score, log, answer."""

import asyncio
import time

from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.http import Request, Response, json_response, unavailable
from serving_gateway.identifiers import uuid7
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.rollout.follower import Follower
from serving_gateway.routing import ARM_HEADER, ROUTING_HEADER, forced_arm
from serving_gateway.scoring.prepare import EventClock, prepared
from serving_gateway.scoring.score import Scorer
from serving_gateway.scoring.shadow import Shadow


class Predict:
    """The handler of /predict."""

    def __init__(
        self,
        *,
        follower: Follower,
        clock: EventClock,
        scorer: Scorer,
        shadow: Shadow,
        spool: Spool,
        metrics: Metrics,
        deadline_s: float,
    ) -> None:
        self._follower = follower
        self._clock = clock
        self._scorer = scorer
        self._shadow = shadow
        self._spool = spool
        self._metrics = metrics
        self._deadline_s = deadline_s

    async def __call__(self, request: Request) -> Response:
        """Answer all rows or none. The rows are in the log before the answer leaves."""
        started = time.perf_counter()
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        served = self._follower.served
        if served is None:
            raise unavailable(f"nothing is served: {self._follower.problem}")
        asked = served.parser.parse(request.body)
        request_id = asked.request_id or uuid7()
        now_us = self._clock.now_us
        event_times_us = [
            now_us(self._follower.clock_us) if row.event_time_us is None else row.event_time_us for row in asked.rows
        ]
        rows = await prepared(
            served,
            asked,
            request_id=request_id,
            routing_header=request.headers.get(ROUTING_HEADER),
            forced=forced_arm(served, request.headers.get(ARM_HEADER)),
            event_times_us=event_times_us,
            deadline=deadline,
            metrics=self._metrics,
        )
        await self._scorer.score(served, rows, started=started, deadline=deadline)
        served_at_us = time.time_ns() // 1000
        self._spool.append([encode_record(row.record(request_id, served, served_at_us)) for row in rows])
        self._shadow.offer(served, rows)
        return json_response(
            {
                "request_id": request_id,
                "predictions": [row.answer() for row in rows],
                "generation": served.state.generation,
                "epoch": served.state.epoch,
            }
        )
