"""How far behind the events is the online store?"""

import time
from datetime import UTC, datetime

import redis

from orchestration.doctor.finding import Finding, State, duration
from orchestration.features.live.policy import FRESH_S, LAG_S
from orchestration.features.live.stream import waiting
from orchestration.features.live.watermark import Watermark, read_watermark
from orchestration.features.store import online_client
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def check_updater(settings: Settings) -> list[Finding]:
    """Raises redis.RedisError where Redis is away, msgspec.ValidationError for a document of another version."""
    stream = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    document = read_watermark(online_client(settings.features_redis_url, timeout_s=5))
    now = RolloutStore(stream).event_now()
    if document is None:
        return judge_updater(None, now, waiting_for_s=None)
    _, sent_ms = waiting(stream, document.position, at_most=1)
    return judge_updater(document, now, waiting_for_s=None if sent_ms is None else time.time() - sent_ms / 1_000)


def judge_updater(document: Watermark | None, now: datetime, *, waiting_for_s: float | None) -> list[Finding]:
    """What the updater left in the store, against the event clock `now` and the age of the oldest event that waits."""
    if document is None:
        return [_finding("attention", "no updater has written to the online store yet")]
    found = [_finding("attention", document.problem)] if document.problem else []
    if waiting_for_s is not None and waiting_for_s > LAG_S:
        says = f"the oldest event has waited for {duration(waiting_for_s)}; events are late beyond {duration(LAG_S)}"
        found.append(_finding("attention", says))
    if document.watermark_us is None:
        return found
    at = datetime.fromtimestamp(document.watermark_us / 1e6, UTC)
    behind_s = (now - at).total_seconds()
    says = f"the watermark, {at:%Y-%m-%d %H:%M} UTC, is {duration(behind_s)} behind the event clock"
    if behind_s > FRESH_S:
        found.append(_finding("attention", f"{says}: do events and progress come?"))
    counted = f"{document.events} events since the base, {document.late} too late, {document.refused} refused"
    return found or [_finding("ok", f"{says}; {counted}")]


def _finding(state: State, says: str) -> Finding:
    return Finding("live events", state, says, "3.3 Online features")
