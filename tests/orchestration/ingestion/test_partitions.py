from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.ingestion.ingest import ingest_flights, ingest_weather
from orchestration.ingestion.partitions import MissingPartitionError, read_partitions, write_partitions

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


def test_ingestion_does_not_depend_on_the_range(tmp_path: Path) -> None:
    narrow, wide = tmp_path / "narrow", tmp_path / "wide"
    ingest_flights(narrow, date(2013, 2, 8), date(2013, 2, 9))
    ingest_flights(wide, date(2013, 2, 6), date(2013, 2, 11))
    name = "day=2013-02-08.parquet"
    assert (narrow / name).read_bytes() == (wide / name).read_bytes()


def test_a_day_past_the_source_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MissingPartitionError, match="2013-12-31"):
        ingest_weather(tmp_path, date(2013, 12, 30), date(2014, 1, 1))
