"""When another's HTTP API may be asked the same again."""

import httpx

_LATER = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})
# Nobody is waited for longer, whatever he asks.
_LONGEST_S = 3600.0


class Backoff:
    """How long to leave an API alone that fails: from `first_s`, doubled by each failure, up to `longest_s`."""

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s
        self._not_before = 0.0

    def due(self, now_s: float) -> bool:
        """Whether it may be asked at this instant of a monotonic clock."""
        return now_s >= self._not_before

    def failed(self, now_s: float, asked_for_s: float = 0.0) -> None:
        """It failed; `asked_for_s` is how long it wants to be left alone, where it said so."""
        self._not_before = now_s + max(self._next_s, asked_for_s)
        self._next_s = min(2 * self._next_s, self._longest_s)

    def worked(self) -> None:
        """It answered."""
        self._next_s, self._not_before = self._first_s, 0.0


def may_be_asked_again(answer: httpx.Response) -> tuple[bool, float]:
    """Whether the same request may be taken later, and after how many seconds: `Retry-After`, 0 where it says no number.

    RFC 9110, sections 10.2.3 and 15.5.9; RFC 6585, section 4; RFC 8470, section 5.2.
    """
    again = answer.status_code in _LATER or answer.is_server_error
    asked = answer.headers.get("Retry-After", "")
    return again, min(float(asked), _LONGEST_S) if asked.isdecimal() else 0.0
