from datetime import UTC, datetime, timedelta

from orchestration.backtest.detectors import DAILY_PSI, Alarm
from orchestration.backtest.results import caught_by, median_delay, median_requests
from orchestration.backtest.twins import Caught, first_new

SINCE = datetime(2013, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


def alarm(hours: int, by: str, subject: str = "") -> Alarm:
    return Alarm(SINCE + hours * HOUR, by, subject)


def test_what_the_clean_twin_says_too_is_no_catch() -> None:
    clean = [alarm(3, "PSI", "visib"), alarm(27, "PSI", "visib")]
    assert first_new(clean, clean, SINCE) == Caught(SINCE, None, None)
    faulty = [*clean, alarm(27, "nulls", "visib"), alarm(30, "ranges", "visib")]
    assert first_new(faulty, clean, SINCE) == Caught(SINCE, "nulls", 27 * HOUR, None, "nulls", 27 * HOUR)


def test_the_same_check_on_another_feature_or_another_day_is_a_catch() -> None:
    clean = [alarm(3, "PSI", "visib")]
    assert first_new([alarm(3, "PSI", "wind")], clean, SINCE).delay == 3 * HOUR
    assert first_new([alarm(3, "PSI", "visib"), alarm(9, "PSI", "visib")], clean, SINCE).delay == 9 * HOUR


def test_of_several_at_once_the_first_said_counts() -> None:
    assert first_new([alarm(5, "freshness"), alarm(5, "nulls"), alarm(2, "PSI")], [], SINCE).by == "PSI"
    assert first_new([alarm(5, "freshness"), alarm(5, "nulls")], [], SINCE).by == "freshness"


def test_a_page_is_the_first_of_the_checks_that_are_quiet_without_a_fault() -> None:
    found = first_new([alarm(5, DAILY_PSI), alarm(29, "ranges"), alarm(53, "nulls")], [], SINCE)
    assert (found.by, found.delay) == (DAILY_PSI, 5 * HOUR)
    assert (found.paged_by, found.page) == ("ranges", 29 * HOUR)
    assert first_new([alarm(5, DAILY_PSI)], [], SINCE).paged_by is None


def test_a_run_that_caught_nothing_is_the_longest_of_all() -> None:
    assert median_delay([9 * HOUR, HOUR, 5 * HOUR]) == 5 * HOUR
    assert median_delay([9 * HOUR, None, 5 * HOUR]) == 9 * HOUR
    assert median_delay([None, None, 5 * HOUR]) is None


def test_what_caught_a_fault_is_what_caught_most_of_its_runs() -> None:
    nothing, x = Caught(SINCE, None, None), Caught(SINCE, "x", HOUR)
    assert caught_by([nothing, nothing, x]) is None
    assert caught_by([nothing, x, x]) == "x"


def test_requests_are_those_of_the_runs_that_count_them() -> None:
    assert median_requests([Caught(SINCE, "errors", HOUR, 40), Caught(SINCE, "errors", HOUR, 10)]) == 10
    assert median_requests([Caught(SINCE, None, None)]) is None
