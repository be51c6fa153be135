"""Windows from csv files, for a report on data that is not in the log."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from orchestration.drift.report import DriftInputError
from orchestration.features.inputs import CATEGORIES
from orchestration.features.training import FEATURES

TEXT = tuple(f"s_{name}" for name in CATEGORIES)


def read_window(path: Path, features: Sequence[str] = FEATURES) -> pl.DataFrame:
    """The features of a csv file with a header: categories as strings, all else Float64; an empty field is null.

    Further columns are left out. Raises DriftInputError with the path and what is wrong: no file, no csv, no rows,
    missing columns, or a field that is no finite number, with its row.
    """
    if not path.is_file():
        raise DriftInputError(f"{path}: there is no such file")
    try:
        text = pl.read_csv(path, infer_schema=False, null_values=[""], glob=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DriftInputError(f"{path} is not a csv file: {error}") from error
    if missing := [name for name in features if name not in text.columns]:
        raise DriftInputError(f"{path} lacks the columns {', '.join(missing)}")
    if text.is_empty():
        raise DriftInputError(f"{path} has a header but no rows")
    return text.select(text[name] if name in TEXT else _numbers(text[name], path) for name in features)


def _numbers(column: pl.Series, path: Path) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    wrong = (~numbers.is_finite().fill_null(False) & column.is_not_null()).arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise DriftInputError(
            f"{path}, row {row + 1} after the header: {column.name} is {column[row]!r}, not a finite number"
        )
    return numbers
