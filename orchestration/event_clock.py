"""The one clock that the batch side asks: the wall's, or a replay's where the settings say so."""

from datetime import UTC, datetime

from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


def event_time(settings: Settings, store: RolloutStore) -> datetime | None:
    """UTC; None while a replay that drives the clock has not set it. What an earlier replay left in Redis is no clock.

    Raises redis.RedisError.
    """
    return store.event_time() if settings.replays else datetime.now(UTC)


def event_now(settings: Settings, store: RolloutStore) -> datetime:
    """UTC; the wall clock until a replay sets the event clock. Raises redis.RedisError."""
    return event_time(settings, store) or datetime.now(UTC)
