"""How far behind the events is the online store? What Dagster's check is told, too."""

import redis

from orchestration.doctor.finding import Finding
from orchestration.event_clock import event_time
from orchestration.features.live.freshness import Freshness, look
from orchestration.features.store import online_client
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def check_updater(settings: Settings) -> list[Finding]:
    """Raises redis.RedisError where Redis is away, msgspec.ValidationError for a document of another version."""
    stream = redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    online = online_client(settings.features_redis_url, timeout_s=5)
    return [judge_updater(look(online, stream, event_time(settings, RolloutStore(stream))))]


def judge_updater(found: Freshness) -> Finding:
    """The verdict on the live features, with what became of the events."""
    says = found.reason
    if (document := found.document) is not None:
        says += f"; {document.events} events since the base, {document.late} too late, {document.refused} refused"
    return Finding("live events", "ok" if found.verdict == "fresh" else "attention", says, "3.3 Online features")
