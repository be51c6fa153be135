"""The way of a replay's events to the online store: over the stream, through the updater, seen by its watermark."""

import time
from collections.abc import Sequence
from datetime import datetime

import redis

from orchestration.features.live.base import read_base
from orchestration.features.live.events import Event, Progress
from orchestration.features.live.stream import order, send
from orchestration.features.live.watermark import read_watermark

PATIENCE_S = 30.0
_POLL_S = 0.002


class NotAppliedError(Exception):
    """The updater does not bring the online store to what was sent; the message says what to look at."""


class Feed:
    """A producer that can wait until the online store has what it sent.

    `waits_s` grows by each wait: seconds from sending an event to seeing that it can be read.
    """

    def __init__(self, stream: "redis.Redis", online: "redis.Redis", *, patience_s: float = PATIENCE_S) -> None:
        self._stream = stream
        self._online = online
        self._patience_s = patience_s
        self._sent: str | None = None
        self._sent_at = 0.0
        self.waits_s: list[float] = []

    def require_before(self, at: datetime) -> None:
        """Raise NotAppliedError where the online store knows already what comes after `at`, or knows nothing yet."""
        base = read_base(self._online)
        if base is None:
            raise NotAppliedError("the online store was never filled: materialize online_store for the first day")
        found = read_watermark(self._online)
        reached = found.watermark_us if found is not None and found.base == base.id else base.as_of_us
        if reached is not None and reached > at.timestamp() * 1e6:
            beyond = datetime.fromtimestamp(reached / 1e6, at.tzinfo)
            raise NotAppliedError(
                f"the online store is at {beyond:%Y-%m-%d %H:%M}, after {at:%Y-%m-%d %H:%M}: materialize online_store"
                f" with as_of {at:%Y-%m-%d} or the day after, and rewind"
            )

    def send(self, events: Sequence[Event], at: datetime) -> None:
        """Send the events of a minute, and that these are all up to `at`."""
        self._sent_at = time.monotonic()
        self._sent = send(self._stream, [*events, Progress(at=at)])

    def wait(self) -> None:
        """Wait until what was sent last can be read. Raises NotAppliedError."""
        if self._sent is None:
            return
        base = read_base(self._online)
        deadline = time.monotonic() + self._patience_s
        while True:
            found = read_watermark(self._online)
            if found and base and found.base == base.id and order(found.position) >= order(self._sent):
                self.waits_s.append(time.monotonic() - self._sent_at)
                return
            if time.monotonic() > deadline:
                where = "it never wrote a watermark" if found is None else found.problem or f"it is at {found.position}"
                raise NotAppliedError(
                    f"the updater did not apply {self._sent} within {self._patience_s:.0f} s ({where}): does the program"
                    " `updater` run? See `make doctor`"
                )
            time.sleep(_POLL_S)
