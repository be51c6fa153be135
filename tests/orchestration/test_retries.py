"""When another's API may be asked again, and how soon."""

import httpx
import pytest

from orchestration.retries import Backoff, may_be_asked_again


@pytest.mark.parametrize(
    ("status", "asked", "expected"),
    [
        (429, "7", (True, 7.0)),
        (503, "86400", (True, 3600.0)),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", (True, 0.0)),
        (500, "", (True, 0.0)),
        (408, "", (True, 0.0)),
        (425, "", (True, 0.0)),
        (400, "7", (False, 7.0)),
        (401, "", (False, 0.0)),
        (302, "", (False, 0.0)),
    ],
)
def test_statuses(status: int, asked: str, expected: tuple[bool, float]) -> None:
    answer = httpx.Response(status, headers={"Retry-After": asked} if asked else {})
    assert may_be_asked_again(answer) == expected


def test_each_failure_doubles_the_wait_up_to_a_bound_and_an_answer_ends_it() -> None:
    backoff, now, waits = Backoff(1.0, 5.0), 0.0, []
    for _ in range(5):
        assert backoff.due(now)
        backoff.failed(now)
        waits.append(next(s for s in range(1, 10) if backoff.due(now + s)))
        now += waits[-1]
    assert waits == [1, 2, 4, 5, 5]
    backoff.failed(now, asked_for_s=60.0)
    assert not backoff.due(now + 59)
    assert backoff.due(now + 60)
    backoff.worked()
    assert backoff.due(now)
    backoff.failed(now)
    assert backoff.due(now + 1)
