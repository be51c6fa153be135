"""Which days are due."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.timetable import (
    DAY,
    HOLDOUT,
    MAX_CATCH_UP,
    NotDueError,
    completed_day,
    missing_days,
    training_windows,
)

FIRST, LAST = date(2013, 1, 1), date(2013, 12, 30)


def days(first: date, last: date) -> set[date]:
    return {first + n * DAY for n in range((last - first).days + 1)}


KNOWN = days(FIRST, LAST)


def at(day: date, hour: int = 6) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


@pytest.mark.parametrize("hour", [0, 23])
def test_the_completed_day_is_yesterday(hour: int) -> None:
    assert completed_day(at(date(2013, 5, 2), hour), KNOWN) == date(2013, 5, 1)


@pytest.mark.parametrize("today", [FIRST, date(2014, 1, 1), date(2026, 5, 1)])
def test_a_day_that_the_source_lacks_is_named_with_what_sets_the_clock(today: date) -> None:
    with pytest.raises(NotDueError, match=rf"{today - DAY}.*2013-01-01 to 2013-12-30.*orchestration\.replay"):
        completed_day(at(today), KNOWN)


def test_the_days_since_the_newest_stored_one_are_missing() -> None:
    stored = days(date(2013, 2, 1), date(2013, 2, 10)) - {date(2013, 2, 5)} | {date(2013, 5, 3)}
    assert missing_days(at(date(2013, 2, 14)), KNOWN, stored) == (date(2013, 2, 11), date(2013, 2, 13))
    assert missing_days(at(date(2013, 2, 12)), KNOWN, stored) == (date(2013, 2, 11), date(2013, 2, 11))
    with pytest.raises(NotDueError, match="the newest is 2013-02-10"):
        missing_days(at(date(2013, 2, 11)), KNOWN, stored)
    with pytest.raises(NotDueError, match="ingest_and_compute"):
        missing_days(at(date(2013, 2, 11)), KNOWN, set())


def test_a_long_absence_is_caught_up_in_parts() -> None:
    now, stored, parts = at(LAST + DAY), {date(2013, 10, 1)}, []
    while max(stored) < LAST:
        first, last = missing_days(now, KNOWN, stored)
        assert last - first < MAX_CATCH_UP
        stored |= days(first, last)
        parts.append((first, last))
    assert len(parts) == 3
    assert stored == days(date(2013, 10, 1), LAST)
    with pytest.raises(NotDueError, match="every completed day is there"):
        missing_days(now, KNOWN, stored)


def test_a_clock_that_has_left_the_source_asks_for_nothing() -> None:
    """Without a replay the wall clock counts: the rest of 2013 is not ingested unasked."""
    with pytest.raises(NotDueError, match="the source has no 2025-12-31"):
        missing_days(at(date(2026, 1, 1)), KNOWN, {date(2013, 10, 1)})


def test_a_challenger_learns_from_all_but_the_last_four_weeks() -> None:
    windows = training_windows(at(date(2013, 5, 3)), days(FIRST, date(2013, 6, 1)))
    assert windows.train == (FIRST, date(2013, 4, 5))
    assert windows.holdout == (date(2013, 4, 5), date(2013, 5, 3))
    assert windows.config == {
        "train_start": "2013-01-01", "train_end": "2013-04-05",
        "holdout_start": "2013-04-05", "holdout_end": "2013-05-03", "refit": True,
    }  # fmt: skip


def test_too_few_unbroken_days_name_the_day_that_is_missing() -> None:
    stored = days(FIRST, date(2013, 5, 2)) - {date(2013, 3, 20)}
    with pytest.raises(NotDueError, match=r"has 43 unbroken days before 2013-05-03, .* needs 56: .* for 2013-03-20"):
        training_windows(at(date(2013, 5, 3)), stored)
    with pytest.raises(NotDueError, match="no day before 2013-05-03"):
        training_windows(at(date(2013, 5, 3)), {date(2013, 5, 3)})


@given(stored=st.sets(st.sampled_from(sorted(KNOWN)), min_size=100), now=st.sampled_from(sorted(KNOWN)))
def test_windows_hold_stored_days_before_now_and_no_other(stored: set[date], now: date) -> None:
    try:
        windows = training_windows(at(now), stored)
    except NotDueError:
        return
    (start, cut), (cut_again, end) = windows.train, windows.holdout
    assert cut == cut_again
    assert end <= now
    assert end - cut == HOLDOUT <= cut - start
    assert days(start, end - DAY) <= stored
    assert start - DAY not in stored
