"""What identifies one request wherever it goes: W3C Trace Context in, `traceresponse` out. OpenTelemetry is not needed for it."""

import os
import re
from collections.abc import Iterator

from msgspec import Struct

TRACEPARENT = "traceparent"
TRACERESPONSE = "traceresponse"
# version-trace_id-parent_id-flags: Trace Context Level 1, section 3.2.2. Later versions may append fields.
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01
_IDS = 24  # bytes of a trace id and a span id
_POOL = 512


def _drawn() -> Iterator[str]:
    """48 random hex digits at a time. The system is asked for many: a call for every request would cost more than the rest of it."""
    while True:
        digits = os.urandom(_IDS * _POOL).hex()
        for at in range(0, len(digits), 2 * _IDS):
            yield digits[at : at + 2 * _IDS]


_ids = _drawn()


def _draw_anew() -> None:
    """A forked child must not go on with its parent's."""
    global _ids  # noqa: PLW0603
    _ids = _drawn()


os.register_at_fork(after_in_child=_draw_anew)


class Trace(Struct, gc=False):
    """The ids of one request: `trace_id` (32 hex digits), its own span's, the caller's span's (16 each; empty: it has none).

    `caller_samples` is the caller's flag, None where there is none; `sampled` is whether spans of it are recorded here.
    `request_id` and what is told `about` it on its span become known on the way.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    caller_samples: bool | None = None
    sampled: bool = False
    request_id: str = ""
    about: dict[str, str | int | bool | list[str]] | None = None

    @property
    def value(self) -> str:
        """As `traceparent` and `traceresponse` have it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def begun(traceparent: str | None) -> Trace:
    """The trace that the caller's header names; a new one where it names none, or none that is well formed (section 4.3)."""
    if traceparent is not None:
        found = _TRACEPARENT.fullmatch(traceparent.strip())
        if found is not None and (found[1] != "00" or found[5] is None):
            return Trace(found[2], span_id(), found[3], bool(int(found[4], 16) & _SAMPLED))
    ids = next(_ids)
    return Trace(ids[:32], ids[32:])


def span_id() -> str:
    """A new one: 16 hex digits."""
    return next(_ids)[:16]
