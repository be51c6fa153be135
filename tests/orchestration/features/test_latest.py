"""The last rows of keys of real days, against those of the batch computation over all of them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from orchestration.features.live.history import History
from orchestration.ingestion.partitions import midnight
from tests.orchestration.features.lakes import real_flights, real_weather
from tests.orchestration.features.live.feeds import Rows, batch_rows, events_of, latest_of

pytestmark = [pytest.mark.full, pytest.mark.integration]  # by its time: a year of flights is read and tidied

DAY = timedelta(days=1)


def between(frame: pl.DataFrame, column: str, at: datetime) -> pl.DataFrame:
    """The nine days before, as the updater keeps them, and the day."""
    since = midnight(at.date()) - 9 * DAY
    return frame.filter(pl.col(column).is_between(since, since + 10 * DAY, closed="left"))


@pytest.mark.parametrize(
    "at",
    [
        datetime(2013, 2, 9, 14, 7, tzinfo=UTC),
        datetime(2013, 3, 10, 7, 30, tzinfo=UTC),
        datetime(2013, 6, 28, 20, 13, tzinfo=UTC),
        datetime(2013, 11, 3, 6, 0, tzinfo=UTC),
    ],
    ids=["a blizzard", "clocks go forward", "thunderstorms", "clocks go back"],
)
def test_every_key_has_the_row_that_batch_computation_leaves_it(at: datetime) -> None:
    flights, weather = between(real_flights(), "sched_dep", at), between(real_weather(), "time_hour", at)
    flights = flights.with_columns(pl.col("dep_delay", "arr_delay").cast(pl.Float64))
    history, found = History.of(events_of(flights, weather)), Rows()
    for view, rows in history.latest(at, history.keys()).items():
        found |= latest_of(view, rows)
    expected = batch_rows(flights, weather, at, first=at.date() - 9 * DAY, days=10)
    assert found == expected
    assert len(found) > 4_000
