"""How fresh the online store is: its watermark against the event clock, what waits in the stream, held against the policy."""

import time
from datetime import datetime
from typing import Literal

import redis
from msgspec import Struct

from orchestration.features.live.events import micros
from orchestration.features.live.policy import COUNTED, FRESH_S, LAG_S
from orchestration.features.live.stream import BEGINNING, waiting
from orchestration.features.live.watermark import Watermark, read_watermark

Verdict = Literal["fresh", "stale", "unknown"]


class Freshness(Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        verdict: `unknown` where there is nothing to be fresh yet.
        reason: in words.
        behind_s: event seconds from the watermark to the event clock.
        lag_entries: events that wait in the stream, COUNTED at most.
        lag_s: wall seconds that the oldest of them has waited.
        document: what the updater wrote last.
    """

    verdict: Verdict
    reason: str
    behind_s: float | None = None
    lag_entries: int = 0
    lag_s: float = 0.0
    document: Watermark | None = None


def look(online: "redis.Redis", stream: "redis.Redis", now: datetime | None) -> Freshness:
    """Judge as it stands. `now` is the event clock, None while a replay has not set it. Raises redis.RedisError."""
    document = read_watermark(online)
    position = BEGINNING if document is None else document.position
    lag_entries, oldest_ms = waiting(stream, position, at_most=COUNTED)
    lag_s = 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)
    return judge(document, now, lag_entries, lag_s)


def judge(document: Watermark | None, now: datetime | None, lag_entries: int, lag_s: float) -> Freshness:
    """The policy, on what was seen."""
    if document is None or document.watermark_us is None or now is None:
        reason = document.problem if document and document.problem else "the replay has not begun"
        verdict: Verdict = "stale" if lag_s > LAG_S else "unknown"
        reason = reason if document else "no updater has written a watermark: does the program `updater` run?"
        return Freshness(verdict=verdict, reason=reason, lag_entries=lag_entries, lag_s=lag_s, document=document)
    behind_s = (micros(now) - document.watermark_us) / 1e6
    wrong = [document.problem] if document.problem else []
    if behind_s > FRESH_S:
        wrong.append(f"the watermark is {behind_s:.0f} s behind the event clock (allowed: {FRESH_S:.0f})")
    if lag_s > LAG_S:
        counted = f"{lag_entries} or more" if lag_entries >= COUNTED else str(lag_entries)
        wrong.append(f"{counted} events wait, the oldest for {lag_s:.0f} s (allowed: {LAG_S:.0f})")
    return Freshness(
        verdict="stale" if wrong else "fresh",
        reason="; ".join(wrong) or f"complete up to {max(behind_s, 0):.0f} s before the event clock, nothing waits",
        behind_s=behind_s,
        lag_entries=lag_entries,
        lag_s=lag_s,
        document=document,
    )
