"""The label-maturity watermark, case by case."""

from datetime import UTC, date, datetime, timedelta

import polars as pl

from orchestration.health.maturity import MATURES_AFTER, label_watermark, late_labels

NOW = datetime(2013, 5, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INGESTED = {date(2013, 5, 7), date(2013, 5, 8)}
# what is asked before 23:00 is of flights of the 8th at the latest
UNTIL = datetime(2013, 5, 8, 23, tzinfo=UTC)


def asked(*times: datetime) -> pl.DataFrame:
    columns = {"prediction_id": pl.String(), "event_time": pl.Datetime("us", "UTC")}
    return pl.DataFrame([(f"p{i}", time) for i, time in enumerate(times)], schema=columns, orient="row")


def labelled(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"prediction_id": ids}, schema={"prediction_id": pl.String()})


def test_ingested_days_bring_their_labels_at_once() -> None:
    waiting = UNTIL + 2 * HOUR
    assert label_watermark(asked(UNTIL - HOUR, waiting), labelled("p0"), INGESTED, NOW) == waiting


def test_below_the_ingested_days_what_has_no_label_gets_none_and_holds_nothing_back() -> None:
    assert label_watermark(asked(UNTIL - HOUR), labelled(), INGESTED, NOW) == NOW - MATURES_AFTER
    assert label_watermark(asked(UNTIL), labelled(), INGESTED, NOW) == UNTIL


def test_reported_labels_carry_it_on_to_the_first_prediction_without_one() -> None:
    times = [UNTIL + n * HOUR for n in range(4)]
    assert label_watermark(asked(*times), labelled("p0", "p1", "p3"), INGESTED, NOW) == times[2]


def test_nothing_younger_than_its_outcome_is_mature() -> None:
    assert label_watermark(asked(NOW - HOUR), labelled("p0"), INGESTED, NOW) == NOW - MATURES_AFTER
    ahead = {date(2013, 5, 20)}
    assert label_watermark(asked(NOW - HOUR), labelled(), ahead, NOW) == NOW - MATURES_AFTER


def test_without_any_day_the_first_prediction_without_a_label_holds_it() -> None:
    first = NOW - 30 * HOUR
    assert label_watermark(asked(first, first + HOUR), labelled(), set(), NOW) == first
    assert label_watermark(asked(first, first + HOUR), labelled("p0"), set(), NOW) == first + HOUR


def test_labels_are_late_beyond_the_longest_wait_and_not_before() -> None:
    assert late_labels(NOW - 50 * HOUR, NOW, 50 * HOUR) == ""
    assert "51 h behind the event clock; more than 50 h is late" in late_labels(NOW - 51 * HOUR, NOW, 50 * HOUR)
