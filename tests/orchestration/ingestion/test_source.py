import zipfile
from pathlib import Path

import pytest

from orchestration.ingestion.source import SourceError, read_airports_table, read_flights_table, read_weather_table

HEADER = "year,month,day,hour,minute,time_hour,sched_arr_time,dep_delay,arr_delay,flight,distance,carrier,tailnum,origin,dest"
ROW = "2013,6,5,12,30,2013-06-05T16:00:00Z,1500,{delay},-3,12,900,B6,N505JB,JFK,MCO"


def flights(folder: Path, *delays: str) -> Path:
    (folder / "flights.csv").write_text("\n".join([HEADER, *(ROW.format(delay=delay) for delay in delays)]))
    return folder


def test_the_distribution_is_read_whole_and_is_readable() -> None:
    for table, rows in (
        (read_flights_table(), 336_776),
        (read_weather_table(), 26_115),
        (read_airports_table(), 1_458),
    ):
        assert table.height == rows
        assert table["unreadable"].null_count() == rows


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("-7.0", -7), ("NA", None), ("", None)])
def test_whole_numbers_are_read_however_they_are_written(tmp_path: Path, text: str, value: int | None) -> None:
    row = read_flights_table(flights(tmp_path, text)).row(0, named=True)
    assert row["dep_delay"] == value
    assert row["unreadable"] is None


@pytest.mark.parametrize("text", ["abc", "7.5", "inf", "nan", "99999999999", "2013-01-01"])
def test_a_value_that_is_no_number_costs_its_row_and_names_itself(tmp_path: Path, text: str) -> None:
    table = read_flights_table(flights(tmp_path, "5", text))
    assert table["dep_delay"].to_list() == [5, None]
    assert table["unreadable"].to_list() == [None, f"dep_delay={text}"]


def test_a_zip_is_read_too(tmp_path: Path) -> None:
    plain = flights(tmp_path, "5") / "flights.csv"
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.write(plain, "flights.csv")
    plain.unlink()
    assert read_flights_table(tmp_path).height == 1


def test_bytes_that_are_no_text_are_read_as_such(tmp_path: Path) -> None:
    path = flights(tmp_path, "5") / "flights.csv"
    path.write_bytes(path.read_bytes().replace(b"JFK", b"\xff\xfe\xfd"))
    assert read_flights_table(tmp_path)["origin"].to_list() == ["\ufffd\ufffd\ufffd"]


def test_a_missing_file_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"{tmp_path}.*no file 'weather.csv'.*FLIGHTS_SOURCE"):
        read_weather_table(tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("year,month\n2013,1\n")
    with pytest.raises(SourceError, match=r"flights.csv lacks the columns day, hour.*it has year, month"):
        read_flights_table(tmp_path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3,4\n"])
def test_what_is_no_csv_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "flights.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"flights.csv (cannot be read as csv|lacks the columns)"):
        read_flights_table(tmp_path)


@pytest.mark.parametrize("broken", [b"no zip", b""])
def test_a_broken_zip_is_refused_by_its_path(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "flights.csv.zip").write_bytes(broken)
    with pytest.raises(SourceError, match=r"flights.csv.zip cannot be read as csv"):
        read_flights_table(tmp_path)
