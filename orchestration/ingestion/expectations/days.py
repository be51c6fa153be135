"""Statistics of a day that a suite bounds: its rows, against the days before it and by airport, and its shares of nulls."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median

import polars as pl

from orchestration.ingestion.expectations.suite import Suite

# A day is compared with the median of the accepted ones among so many days before it, if there are enough of them.
RECENT_DAYS = 14
ENOUGH_DAYS = 3


def day_statistics(
    frame: pl.DataFrame, suite: Suite, days: Sequence[date], accepted: Mapping[date, int]
) -> pl.DataFrame:
    """One row for each of `days`: `day`, `rows`, `rows of <origin>`, `nulls of <column>` (shares), `volume`.

    `volume` is the rows as a share of the median of recent days; null where too few of them are accepted. `accepted`
    holds the rows of earlier days, and of those of `days` whose rows are in order; a day whose volume is out of bounds
    does not count for the days after it.
    """
    shares = (pl.col(column).null_count() / pl.len() for column in suite.null_shares if column in frame.columns)
    here = ((pl.col("origin") == origin).sum().cast(pl.Int64).alias(f"rows of {origin}") for origin in suite.least_rows)
    counted = frame.group_by("day").agg(
        pl.len().cast(pl.Int64).alias("rows"), *here, *(s.name.prefix("nulls of ") for s in shares)
    )
    table = pl.DataFrame({"day": days}, schema={"day": pl.Date}).join(
        counted, on="day", how="left", maintain_order="left"
    )
    table = table.with_columns(pl.col("^rows.*$").fill_null(0))
    return table.with_columns(volume=pl.Series(_volumes(table, suite, dict(accepted)), dtype=pl.Float64))


def recent_rows(day: date, accepted: Mapping[date, int]) -> list[int]:
    """Rows of the accepted ones among the RECENT_DAYS days before `day`."""
    before = (day - timedelta(days=back) for back in range(1, RECENT_DAYS + 1))
    return [accepted[d] for d in before if d in accepted]


def _volumes(table: pl.DataFrame, suite: Suite, accepted: dict[date, int]) -> list[float | None]:
    volumes: list[float | None] = []
    for day, rows in table.select("day", "rows").iter_rows():
        recent = recent_rows(day, accepted)
        volume = rows / median(recent) if len(recent) >= ENOUGH_DAYS else None
        volumes.append(volume)
        if volume is not None and not suite.volume[0] <= volume <= suite.volume[1]:
            accepted.pop(day, None)
    return volumes
