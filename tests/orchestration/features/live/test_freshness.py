"""The policy on freshness and lag, as a table."""

from datetime import UTC, datetime, timedelta

import pytest

from orchestration.features.live.events import micros
from orchestration.features.live.freshness import Verdict, judge
from orchestration.features.live.policy import COUNTED, FRESH_S, LAG_S
from orchestration.features.live.watermark import NO_BASE, Watermark

NOW = datetime(2013, 5, 1, 12, tzinfo=UTC)


def at(behind_s: float, problem: str = "") -> Watermark:
    return Watermark(base="b", watermark_us=micros(NOW - timedelta(seconds=behind_s)), problem=problem)


@pytest.mark.parametrize(
    ("document", "now", "lag", "verdict", "says"),
    [
        (at(0), NOW, (0, 0.0), "fresh", "nothing waits"),
        (at(-30), NOW, (0, 0.0), "fresh", "complete up to 0 s"),
        (at(FRESH_S), NOW, (1, LAG_S), "fresh", "complete up to 300 s"),
        (at(FRESH_S + 1), NOW, (0, 0.0), "stale", "301 s behind the event clock"),
        (at(0), NOW, (7, LAG_S + 1), "stale", "7 events wait, the oldest for 11 s"),
        (at(0), NOW, (COUNTED, LAG_S + 1), "stale", "1000 or more events wait"),
        (at(0, "the disk is full"), NOW, (0, 0.0), "stale", "the disk is full"),
        (at(0), None, (0, 0.0), "unknown", "the replay has not begun"),
        (None, NOW, (0, 0.0), "unknown", "does the program `updater` run"),
        (None, NOW, (7, LAG_S + 1), "stale", "does the program `updater` run"),
        (Watermark(problem=NO_BASE), NOW, (0, 0.0), "unknown", NO_BASE),
        (Watermark(problem=NO_BASE), NOW, (7, LAG_S + 1), "stale", NO_BASE),
    ],
)
def test_what_is_stale_and_what_is_not_known(
    document: Watermark | None, now: datetime | None, lag: tuple[int, float], verdict: Verdict, says: str
) -> None:
    found = judge(document, now, *lag)
    assert found.verdict == verdict
    assert says in found.reason


def test_everything_that_is_wrong_is_said_at_once() -> None:
    reason = judge(at(FRESH_S + 60, "refused"), NOW, 3, LAG_S + 5).reason
    assert [part.split()[0] for part in reason.split("; ")] == ["refused", "the", "3"]
