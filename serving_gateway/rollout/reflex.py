"""When a canary fails grossly: a pure condition over a sliding window of its requests."""

from collections import deque

from msgspec import Struct


class TripPolicy(Struct, frozen=True, kw_only=True):
    """The canary is stopped at `failure_share` of at least `min_requests` in `window_s`, or at `consecutive` failures."""

    window_s: float = 10.0
    min_requests: int = 20
    failure_share: float = 0.5
    consecutive: int = 10


class Figures(Struct, frozen=True):
    """What the window holds: `consecutive` counts the failures since the last success, however old."""

    requests: int
    failures: int
    consecutive: int


def trip_reason(figures: Figures, policy: TripPolicy) -> str | None:
    """Why the canary has to stop, with the figures; None while it may go on."""
    if figures.consecutive >= policy.consecutive:
        return f"{figures.consecutive} canary requests failed in a row"
    if figures.requests >= policy.min_requests and figures.failures >= policy.failure_share * figures.requests:
        return f"{figures.failures} of {figures.requests} canary requests failed within {policy.window_s:g} s"
    return None


class Window:
    """Outcomes of one canary's requests, one entry a request."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._entries: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._consecutive = 0

    def add(self, now: float, *, failed: bool) -> Figures:
        """Enter an outcome at `now` (seconds, monotone) and drop what is older than the window."""
        self._entries.append((now, failed))
        self._failures += failed
        self._consecutive = self._consecutive + 1 if failed else 0
        while self._entries[0][0] <= now - self._window_s:
            self._failures -= self._entries.popleft()[1]
        return Figures(len(self._entries), self._failures, self._consecutive)
