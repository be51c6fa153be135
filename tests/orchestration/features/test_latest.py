"""The last rows of keys of real days, against those of the batch computation over all of them."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from orchestration.features.compute import compute_views
from orchestration.features.latest import latest_rows
from orchestration.features.views import VIEWS
from orchestration.ingestion.partitions import midnight
from tests.orchestration.features.lakes import real_flights, real_weather

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
    keys = {
        view.name: (weather if view.name == "origin_weather" else flights).select(view.join_keys).unique()
        for view in VIEWS
    }
    found = latest_rows(flights, weather, at, keys)
    computed = compute_views(flights, weather, at.date() - 9 * DAY, at.date() + DAY)
    for view in VIEWS:
        rows = computed[view.name].filter(pl.col("event_timestamp") <= at)
        last = rows.unique(view.join_keys, keep="last", maintain_order=True) if view.join_keys else rows.tail(1)
        order = [*view.join_keys, "event_timestamp"]
        assert found[view.name].sort(order).equals(last.sort(order)), view.name
        assert last.height > 0
