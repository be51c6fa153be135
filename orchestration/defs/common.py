"""What several subjects share: the daily partitions, owners, the range of a run's partitions."""

from collections.abc import Mapping
from datetime import date, timedelta

import dagster as dg

from orchestration.ingestion.columns import Column

# The source's weather ends on 2013-12-30; the end is exclusive.
DAILY = dg.DailyPartitionsDefinition(start_date="2013-01-01", end_date="2013-12-31")
# What a day becomes, in this order.
DAILY_ASSETS = ("raw_flights", "raw_weather", "feature_views", "training_rows")
# A run costs seconds to start: a range of days is one run.
ONE_RUN = dg.BackfillPolicy.single_run()
OWNERS = ["team:ml-platform"]


def day_range(context: dg.AssetExecutionContext) -> tuple[date, date]:
    """[first day, day after the last) of the run's partitions."""
    window = context.partition_time_window
    return window.start.date(), window.end.date()


def table_schema(columns: Mapping[str, Column]) -> dg.TableSchema:
    """Columns as the UI shows them."""
    return dg.TableSchema(
        [dg.TableColumn(name, type=str(column.dtype), description=column.meaning) for name, column in columns.items()]
    )


def parse_days(start: str, end: str) -> tuple[date, date]:
    """Two ISO dates as a half-open range. Raises dg.Failure saying what is wrong, without a retry."""
    try:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
    except ValueError as error:
        raise dg.Failure(f"dates must be YYYY-MM-DD: {error}", allow_retries=False) from error
    if last - first < timedelta(days=1):
        raise dg.Failure(f"the range {start} to {end} (exclusive) holds no day", allow_retries=False)
    return first, last
