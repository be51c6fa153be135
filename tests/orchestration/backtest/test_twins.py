from datetime import UTC, datetime, timedelta

from orchestration.backtest.detectors import Alarm
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
    assert first_new(faulty, clean, SINCE) == Caught(SINCE, "nulls", 27 * HOUR)


def test_the_same_check_on_another_feature_or_another_day_is_a_catch() -> None:
    clean = [alarm(3, "PSI", "visib")]
    assert first_new([alarm(3, "PSI", "wind")], clean, SINCE).delay == 3 * HOUR
    assert first_new([alarm(3, "PSI", "visib"), alarm(9, "PSI", "visib")], clean, SINCE).delay == 9 * HOUR


def test_of_several_at_once_the_first_said_counts() -> None:
    assert first_new([alarm(5, "freshness"), alarm(5, "nulls"), alarm(2, "PSI")], [], SINCE).by == "PSI"
    assert first_new([alarm(5, "freshness"), alarm(5, "nulls")], [], SINCE).by == "freshness"


def test_a_run_that_caught_nothing_is_the_longest_of_all() -> None:
    def runs(*hours: int | None) -> list[Caught]:
        return [Caught(SINCE, None if h is None else "x", None if h is None else h * HOUR) for h in hours]

    assert median_delay(runs(9, 1, 5)) == 5 * HOUR
    assert median_delay(runs(9, None, 5)) == 9 * HOUR
    assert median_delay(runs(None, None, 5)) is None
    assert caught_by(runs(None, None, 5)) is None
    assert caught_by(runs(None, 5, 5)) == "x"


def test_requests_are_those_of_the_runs_that_count_them() -> None:
    assert median_requests([Caught(SINCE, "errors", HOUR, 40), Caught(SINCE, "errors", HOUR, 10)]) == 10
    assert median_requests([Caught(SINCE, None, None)]) is None
