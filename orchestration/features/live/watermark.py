"""The watermark document: how far the online store is, for whoever waits for it or watches it."""

import msgspec
import redis
from msgspec import Struct

from orchestration.features.live.stream import BEGINNING
from orchestration.features.views import PROJECT

NO_BASE = "no base: materialize online_store"


class Refill(Struct, frozen=True, kw_only=True):
    """One time that the whole store was written: why, how long it took, when (wall UTC microseconds), how many rows."""

    reason: str
    seconds: float
    at_us: int
    rows: int


class Watermark(Struct, frozen=True, kw_only=True):
    """What the updater wrote last, written after the features.

    Attributes:
        base: id of the base; None while there is none.
        position: id of the last stream entry that is in the online store.
        watermark_us: event time up to which the store is complete, UTC microseconds since the epoch.
        applied_at_us: wall clock of this document.
        events: distinct events known since the base.
        duplicates: events that were known already, to the letter.
        superseded: events that say something else than the one of their identity that stands, and rank below it.
        late: events that came too late and were not applied.
        refused: stream entries that held no event.
        refills: how often the whole store was written.
        last_refill: the last time.
        problem: what somebody should do; empty when all is well.
    """

    base: str | None = None
    position: str = BEGINNING
    watermark_us: int | None = None
    applied_at_us: int = 0
    events: int = 0
    duplicates: int = 0
    superseded: int = 0
    late: int = 0
    refused: int = 0
    refills: int = 0
    last_refill: Refill | None = None
    problem: str = ""


def watermark_key(project: str = PROJECT) -> str:
    """Where the document lies in the online store's Redis."""
    return f"features:{{{project}}}:watermark"


def read_watermark(online: "redis.Redis", project: str = PROJECT) -> Watermark | None:
    """The document; None where no updater ever wrote one, or the store lost it.

    Raises msgspec.ValidationError for a document that is none.
    """
    data = online.get(watermark_key(project))
    return None if data is None else msgspec.json.decode(data, type=Watermark)


def write_watermark(online: "redis.Redis", document: Watermark, project: str = PROJECT) -> bytes | None:
    """Write the document; returns the bytes that stood there, from which the writer sees that nobody took them away."""
    return online.set(watermark_key(project), msgspec.json.encode(document), get=True)  # type: ignore[return-value]
