from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.ingestion.partitions import (
    MissingPartitionError,
    read_partitions,
    remove_partitions,
    stored_rows,
    stretches,
    write_partitions,
)

DAY = pl.col("at").dt.date()


@pytest.fixture
def frame() -> pl.DataFrame:
    start = datetime(2013, 1, 1, tzinfo=UTC)
    return pl.DataFrame({"at": [start + timedelta(hours=7 * i) for i in range(20)], "x": range(20)})


def test_what_is_written_is_read_and_nothing_else_lies_there(frame: pl.DataFrame, tmp_path: Path) -> None:
    start, end = date(2013, 1, 2), date(2013, 1, 5)
    rows = write_partitions(frame, tmp_path, start, end, day=DAY)
    expected = frame.filter(DAY.is_between(start, end, closed="left"))
    assert rows == expected.height
    assert_frame_equal(read_partitions(tmp_path, start, end), expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"day=2013-01-0{d}.parquet" for d in (2, 3, 4)]


def test_a_rewrite_replaces_only_its_days(frame: pl.DataFrame, tmp_path: Path) -> None:
    write_partitions(frame, tmp_path, date(2013, 1, 1), date(2013, 1, 4), day=DAY)
    write_partitions(frame.with_columns(x=pl.lit(-1, pl.Int64)), tmp_path, date(2013, 1, 2), date(2013, 1, 3), day=DAY)
    stored = read_partitions(tmp_path, date(2013, 1, 1), date(2013, 1, 4))
    assert stored.filter(pl.col("x") == -1)["at"].dt.date().unique().to_list() == [date(2013, 1, 2)]
    assert stored.filter(pl.col("x") >= 0)["at"].dt.date().unique().sort().to_list() == [
        date(2013, 1, 1),
        date(2013, 1, 3),
    ]


def test_a_day_without_data_writes_nothing(frame: pl.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MissingPartitionError, match="2013-01-07, 2013-01-08"):
        write_partitions(frame, tmp_path / "new", date(2013, 1, 5), date(2013, 1, 9), day=DAY)
    assert not (tmp_path / "new").exists()


def test_missing_days_are_named_unless_they_are_warm_up(frame: pl.DataFrame, tmp_path: Path) -> None:
    write_partitions(frame, tmp_path, date(2013, 1, 2), date(2013, 1, 4), day=DAY)
    early = read_partitions(tmp_path, date(2012, 12, 30), date(2013, 1, 4), optional_before=date(2013, 1, 2))
    assert early["at"].dt.date().unique().to_list() == [date(2013, 1, 2), date(2013, 1, 3)]
    with pytest.raises(MissingPartitionError, match="2013-01-01"):
        read_partitions(tmp_path, date(2013, 1, 1), date(2013, 1, 4))


def test_stretches_are_as_long_as_can_be() -> None:
    days = [date(2013, 3, d) for d in (5, 1, 2, 8, 9, 3)]
    assert stretches(days) == [
        (date(2013, 3, 1), date(2013, 3, 4)),
        (date(2013, 3, 5), date(2013, 3, 6)),
        (date(2013, 3, 8), date(2013, 3, 10)),
    ]
    assert stretches([]) == []


def test_rows_are_counted_from_the_footers_and_partitions_removed(frame: pl.DataFrame, tmp_path: Path) -> None:
    start, end = date(2013, 1, 1), date(2013, 1, 4)
    write_partitions(frame, tmp_path, start, end, day=DAY)
    counted = stored_rows(tmp_path, start, date(2013, 1, 9))
    assert list(counted) == [date(2013, 1, d) for d in (1, 2, 3)]
    assert sum(counted.values()) == frame.filter(DAY.is_between(start, end, closed="left")).height
    remove_partitions(tmp_path, [date(2013, 1, 2), date(2013, 1, 8)])
    assert list(stored_rows(tmp_path, start, end)) == [date(2013, 1, 1), date(2013, 1, 3)]
