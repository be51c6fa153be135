"""Makes a call's rows ready to be scored: event time, features, vector, and which arm their key belongs to."""

import asyncio
import logging
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from serving_gateway.contracts.prediction import ViewAge
from serving_gateway.contracts.split import place, routing_key
from serving_gateway.http import ApiError, unavailable
from serving_gateway.identifiers import uuid7
from serving_gateway.metrics import Metrics
from serving_gateway.online_features import FeaturesUnavailableError, ViewRow
from serving_gateway.parsing import Row
from serving_gateway.rollout.served import Served
from serving_gateway.routing import ForcedArm
from serving_gateway.scoring.call import Call
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.recorder import Attribute, Recorder
from serving_gateway.vectors import packed, unpacked

MAX_BATCH = 256  # calls whose features are read together
_log = logging.getLogger(__name__)
READ_SHARE = 0.5  # of the time that is left, where rows are answered without their features if the read fails
_NO_VIEWS: Mapping[int, dict[str, ViewRow]] = {}


class EventClock:
    """Now, on the platform's event clock: the wall's, or the one that a replay sets in Redis."""

    def __init__(self, *, replay: bool) -> None:
        self._replay = replay

    def now_us(self, followed_us: int | None) -> int:
        """UTC microseconds. Raises ApiError 503 in replay while the clock in Redis is not set or unreadable."""
        if not self._replay:
            return time.time_ns() // 1000
        if followed_us is None:
            raise unavailable(
                "the replay's clock is not set or unreadable: send event_time (with feedback: observed_at), or start the replay"
            )
        return followed_us


class Asked(Struct, frozen=True):
    """What a call was asked for: rows, their event times (UTC microseconds), the caller's own routing key and arm."""

    call: Call
    rows: Sequence[Row]
    event_times_us: Sequence[int]
    routing_header: str | None
    forced: ForcedArm | None


class Prepare:
    """Fills the rows of calls and hands them on to `then`; features of many calls are read together.

    While a read is in flight, arrivals wait and are read together. With `degrade`, what cannot be read counts as missing.
    """

    def __init__(
        self,
        metrics: Metrics,
        then: Callable[[Call], None],
        *,
        degrade: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self._recorder = recorder
        self._metrics = metrics
        self._then = then
        self._degrade = degrade
        self._waiting: deque[Asked] = deque()
        self._reader: asyncio.Task[None] | None = None

    def begin(self, asked: Asked) -> None:
        """Prepare now, or as soon as the features are read. Raises ApiError where `then` does."""
        if not [row for row in asked.rows if row.fields is not None]:
            self._fill(asked, _NO_VIEWS)
            self._then(asked.call)
            return
        self._waiting.append(asked)
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read())

    def begin_with(
        self, call: Call, vectors: Iterable[bytes], *, key: str, forced: ForcedArm | None, event_time_us: int
    ) -> None:
        """Rows of finished vectors (packed float32), all of one routing key: the split gives them to one arm."""
        to = forced or place(call.served.state.salt, key, call.served.canary_weight_bp)
        call.rows = [
            ScoringRow(
                call=call,
                prediction_id=uuid7(),
                entities={},
                event_time_us=event_time_us,
                place=to,
                routing="forced" if forced else "split",
                vector=unpacked(vector),
                packed=vector,
            )
            for vector in vectors
        ]
        self._then(call)

    async def _read(self) -> None:
        try:
            while self._waiting:
                await self._read_batch(self._next_batch())
        finally:
            self._reader = None

    def _next_batch(self) -> list[Asked]:
        """The oldest calls that are served by the same contract and still wait for an answer."""
        features = self._waiting[0].call.served.features
        batch: list[Asked] = []
        while self._waiting and len(batch) < MAX_BATCH and self._waiting[0].call.served.features is features:
            asked = self._waiting.popleft()
            if not asked.call.settled:
                batch.append(asked)
        return batch

    async def _read_batch(self, batch: list[Asked]) -> None:
        if not batch:
            return
        wanted = [
            (row.entities, at_us)
            for asked in batch
            for row, at_us in zip(asked.rows, asked.event_times_us, strict=True)
            if row.fields is not None
        ]
        until = max(asked.call.deadline for asked in batch)
        if self._degrade:
            now = asyncio.get_running_loop().time()
            until = now + (min(asked.call.deadline for asked in batch) - now) * READ_SHARE
        recorder = self._recorder
        step = None if recorder is None else recorder.step("features.read", [a.call for a in batch], kind="client")
        about: dict[str, Attribute] = {
            "db.system.name": "redis",
            "drift.batch.requests": len(batch),
            "drift.batch.rows": len(wanted),
        }
        try:
            found = await batch[0].call.served.features.read(wanted, until)
        except FeaturesUnavailableError as error:
            if step is not None:
                step.end(about, str(error))
            await self._unread(batch, error)
            return
        if step is not None:
            step.end(about)
        views = iter(found)
        for asked in batch:
            self._go_on(asked, {at: next(views) for at, row in enumerate(asked.rows) if row.fields is not None})
        self._count(found)

    def _go_on(self, asked: Asked, found: Mapping[int, dict[str, ViewRow]], *, degraded: bool = False) -> None:
        if asked.call.settled:
            return
        try:
            self._fill(asked, found, degraded=degraded)
            self._then(asked.call)
        except ApiError as error:
            asked.call.fail(error)
        except Exception:  # noqa: BLE001  a bug costs one answer, not those of all whose features were read with it
            _log.exception("request %r cannot be prepared", asked.call.request_id, extra=asked.call.ids)
            asked.call.fail(ApiError(500, "internal error; the gateway's log has the details"))

    async def _unread(self, batch: list[Asked], error: FeaturesUnavailableError) -> None:
        """What one call asks for may have spoilt the read for all: each alone. A store that is away is away for all."""
        if error.answered and len(batch) > 1:
            for asked in batch:
                if not asked.call.settled:
                    await self._read_batch([asked])
            return
        for asked in batch:
            if self._degrade:
                missing = dict.fromkeys(range(len(asked.rows)), asked.call.served.features.missing)
                self._go_on(asked, missing, degraded=True)
            else:
                asked.call.fail(unavailable(f"{error}; requests with given `features` are still answered"))

    def _fill(self, asked: Asked, found: Mapping[int, dict[str, ViewRow]], *, degraded: bool = False) -> None:
        call = asked.call
        served = call.served
        weight, salt = served.canary_weight_bp, served.state.salt
        for at, row in enumerate(asked.rows):
            stored = row.fields is not None
            views = found.get(at, {}) if stored else {}
            vector = _vector(served, row, views, asked.event_times_us[at])
            key = routing_key(asked.routing_header, row.entities, call.request_id)
            call.rows.append(
                ScoringRow(
                    call=call,
                    prediction_id=uuid7(),
                    entities=row.entities,
                    event_time_us=asked.event_times_us[at],
                    place=asked.forced or place(salt, key, weight),
                    routing="forced" if asked.forced else "split",
                    vector=vector,
                    packed=packed(vector),
                    views=[view.age for view in views.values()],
                    degraded=degraded and stored,
                )
            )
        if degraded:
            self._metrics.degraded.inc(sum(row.degraded for row in call.rows))

    def _count(self, rows: Iterable[dict[str, ViewRow]]) -> None:
        ages: list[ViewAge] = [view.age for views in rows for view in views.values()]
        for age in ages:
            self._metrics.views(age.view, age.status).inc()
            if age.age_s is not None:
                self._metrics.ages(age.view).observe(age.age_s)


def _vector(served: Served, row: Row, views: dict[str, ViewRow], event_time_us: int) -> "array[float]":
    if row.given is not None:
        return served.vectors.from_given(row.given)
    values = {name: view.values for name, view in views.items()}
    return served.vectors.from_request(row.fields or {}, values, event_time_us)
