"""POST /feedback: what became of answered predictions. A report is in the log before its answer leaves."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from serving_gateway.access import Tokens, require_key
from serving_gateway.contracts.prediction import FeedbackRecord
from serving_gateway.contracts.prediction_log import encode_record
from serving_gateway.http import ApiError, Request, Respond, json_response, unavailable
from serving_gateway.identifiers import made_ms
from serving_gateway.log.spool import Spool
from serving_gateway.metrics import Metrics
from serving_gateway.parsing import decoded

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SKEW_US = 60_000_000  # how far a caller's clock may run ahead
_DAY_MS = 86_400_000
# A label column with gaps reaches JSON as 1.0 for 1.
_ZeroOrOne = Annotated[float, Meta(ge=0, le=1, multiple_of=1)]


class Report(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of ground truth as it is sent. `outcome`: whether what the score is the probability of came true."""

    prediction_id: str
    outcome: bool | _ZeroOrOne
    observed_at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET


class _Asked(Struct, frozen=True):
    """Which of the two forms a body has; what else it holds is looked at by the form's own decoder."""

    feedback: msgspec.Raw | UnsetType = UNSET


_asked: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(_Asked)
_one: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(Report)


class FeedbackParser:
    """Parses a report, or `feedback`: a list of at most `max_rows` of them."""

    def __init__(self, max_rows: int) -> None:
        reports = Annotated[list[Report], Meta(min_length=1, max_length=max_rows)]
        batch = msgspec.defstruct("Batch", [("feedback", reports)], forbid_unknown_fields=True, frozen=True)
        self._many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(batch)

    def parse(self, body: bytes) -> list[tuple[str, Report]]:
        """The reports with their paths in the body. Raises ApiError 400 with the path of the first thing that is wrong."""
        if decoded(_asked, body).feedback is UNSET:
            return [("$", decoded(_one, body))]
        reports = decoded(self._many, body).feedback
        return [(f"$.feedback[{at}]", report) for at, report in enumerate(reports)]


def records(
    reports: Iterable[tuple[str, Report]], *, received_us: int, event_now_us: Callable[[], int], replay: bool
) -> list[FeedbackRecord]:
    """What the log keeps of reports received at `received_us` (wall clock); unobserved ones are observed at `event_now_us()`.

    Raises ApiError 400 with the path of what cannot be: an id that no gateway has given, an outcome seen in the future,
    two outcomes of one prediction at the same time. In a replay, clients may run ahead of the event clock.
    """
    made: dict[tuple[str, int], FeedbackRecord] = {}
    now_us = cache(event_now_us)
    for path, report in reports:
        prediction_id = _prediction_id(report.prediction_id, received_us, f"{path}.prediction_id")
        if report.observed_at is UNSET:
            observed_us = now_us()
        else:
            observed_us = (report.observed_at - _EPOCH) // timedelta(microseconds=1)
            if not replay and observed_us > received_us + _SKEW_US:
                raise ApiError(400, "lies in the future", path=f"{path}.observed_at")
        record = FeedbackRecord(
            prediction_id=prediction_id,
            outcome=bool(report.outcome),
            observed_at_us=observed_us,
            received_at_us=received_us,
        )
        if made.setdefault((prediction_id, observed_us), record) != record:
            raise ApiError(400, "contradicts an earlier row: same prediction, same time", path=f"{path}.outcome")
    return list(made.values())


class Feedback:
    """The handler of /feedback. `event_now_us` is the event clock, in UTC microseconds; it may raise ApiError 503."""

    def __init__(
        self,
        *,
        keys: Tokens,
        spool: Spool,
        metrics: Metrics,
        max_rows: int,
        event_now_us: Callable[[], int],
        replay: bool,
    ) -> None:
        self._keys = keys
        self._parser = FeedbackParser(max_rows)
        self._spool = spool
        self._metrics = metrics
        self._event_now_us = event_now_us
        self._replay = replay

    def __call__(self, request: Request, respond: Respond) -> None:
        """Take all rows or none. The same report twice is the same; unknown ids are taken, another gateway may know them."""
        require_key(self._keys, request)
        reports = self._parser.parse(request.body)
        received_us = time.time_ns() // 1000
        kept = records(reports, received_us=received_us, event_now_us=self._event_now_us, replay=self._replay)
        if not self._spool.append([encode_record(record) for record in kept]):
            raise unavailable("the log takes nothing now (its disk or GATEWAY_SPOOL_MAX_BYTES is full): send it again")
        self._metrics.feedback.inc(len(reports))
        respond(json_response({"received": len(reports)}))


def _prediction_id(text: str, received_us: int, path: str) -> str:
    identifier = text.lower()
    try:
        future = made_ms(identifier) > received_us // 1000 + _DAY_MS
    except ValueError:
        raise ApiError(400, "not a prediction id: /predict answers a UUIDv7 with each row", path=path) from None
    if future:
        raise ApiError(400, "not a prediction id: its time lies in the future", path=path)
    return identifier
