"""Makes rows ready to be scored: event time, features, vector, and which arm their key belongs to."""

import time
from array import array
from collections.abc import Iterable, Sequence

from serving_gateway.contracts.prediction import ViewAge
from serving_gateway.http import unavailable
from serving_gateway.identifiers import uuid7
from serving_gateway.metrics import Metrics
from serving_gateway.online_features import FeaturesUnavailableError, ViewRow
from serving_gateway.parsing import PredictRequest, Row
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.split import routing_key, to_canary
from serving_gateway.vectors import packed


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


async def prepared(
    served: Served,
    asked: PredictRequest,
    *,
    request_id: str,
    routing_header: str | None,
    event_times_us: Sequence[int],
    deadline: float,
    metrics: Metrics,
) -> list[ScoringRow]:
    """Rows in the order asked. Raises ApiError 503 when features are needed and the online store is away."""
    by_entity = [at for at, row in enumerate(asked.rows) if row.fields is not None]
    wanted = [(asked.rows[at].entities, event_times_us[at]) for at in by_entity]
    try:
        found = dict(zip(by_entity, await served.features.read(wanted, deadline), strict=True))
    except FeaturesUnavailableError as error:
        raise unavailable(f"{error}; requests with given `features` are still answered") from error
    _count(found.values(), metrics)
    weight, salt = served.canary_weight_bp, served.state.salt
    rows = []
    for at, row in enumerate(asked.rows):
        views = found.get(at, {})
        vector = _vector(served, row, views, event_times_us[at])
        key = routing_key(routing_header, row.entities, request_id)
        rows.append(
            ScoringRow(
                prediction_id=uuid7(),
                entities=row.entities,
                event_time_us=event_times_us[at],
                to_canary=bool(weight) and to_canary(salt, key, weight),
                vector=vector,
                packed=packed(vector),
                views=[view.age for view in views.values()],
            )
        )
    return rows


def _vector(served: Served, row: Row, views: dict[str, ViewRow], event_time_us: int) -> "array[float]":
    if row.given is not None:
        return served.vectors.from_given(row.given)
    values = {name: view.values for name, view in views.items()}
    return served.vectors.from_request(row.fields or {}, values, event_time_us)


def _count(rows: Iterable[dict[str, ViewRow]], metrics: Metrics) -> None:
    ages: list[ViewAge] = [view.age for views in rows for view in views.values()]
    for age in ages:
        metrics.views(age.view, age.status).inc()
        if age.age_s is not None:
            metrics.ages(age.view).observe(age.age_s)
