"""The drift report: Evidently over a window of logged feature vectors against a reference window."""

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import polars as pl

METHOD = "psi"
THRESHOLD = 0.2
SAMPLE_ROWS = 20_000


class DriftInputError(ValueError):
    """The two windows cannot be compared; the message names the window or the columns."""


@dataclass(frozen=True)
class DriftReport:
    """`scores` maps a column to its population stability index (PSI, >= 0); `drifted` are those at or above THRESHOLD.

    `without_values` names columns that hold nothing in one of the windows: Evidently cannot compare them.
    """

    html: Path
    json: Path
    scores: dict[str, float]
    without_values: list[str]

    @property
    def drifted(self) -> list[str]:
        """Names of the drifted columns, worst first."""
        above = [name for name, score in self.scores.items() if score >= THRESHOLD]
        return sorted(above, key=lambda name: -self.scores[name])


def write_report(
    reference: pl.DataFrame, current: pl.DataFrame, folder: Path, name: str, *, seed: int = 0
) -> DriftReport:
    """Compare two windows column by column; writes `<name>.html` and `<name>.json` into `folder`.

    Args:
        reference: numeric columns, e.g. the training window's features.
        current: the same columns from the prediction log.
        folder: created if missing.
        name: file name without ending.
        seed: of the sample drawn from a window above SAMPLE_ROWS rows (the report is for reading; it grows with its rows).

    Returns:
        The written files and the PSI of each column. The method is pinned: Evidently's default test changes with the
        size of the reference.

    Raises:
        DriftInputError: a window is empty, or the columns differ.
    """
    _check(reference, current)
    empty = [name for name in reference.columns if _without_values(reference[name]) or _without_values(current[name])]
    reference, current = reference.drop(empty), current.drop(empty)
    # Evidently reads this when it is imported; a report must not call home.
    os.environ.setdefault("EVIDENTLY_DISABLE_TELEMETRY", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, from empty histogram bins inside Evidently
        from evidently import Dataset, Report
        from evidently.presets import DataDriftPreset

        report = Report([DataDriftPreset(method=METHOD, threshold=THRESHOLD)])
        snapshot = report.run(
            current_data=Dataset.from_pandas(_sample(current, seed).to_pandas()),
            reference_data=Dataset.from_pandas(_sample(reference, seed).to_pandas()),
        )
    folder.mkdir(parents=True, exist_ok=True)
    html, as_json = folder / f"{name}.html", folder / f"{name}.json"
    snapshot.save_html(str(html))
    snapshot.save_json(str(as_json))
    return DriftReport(html, as_json, _scores(as_json), empty)


def _scores(path: Path) -> dict[str, float]:
    found = {}
    for metric in json.loads(path.read_text())["metrics"]:
        config = metric.get("config", {})
        if config.get("type") == "evidently:metric_v2:ValueDrift":
            found[config["column"]] = float(metric["value"])
    return found


def _without_values(column: pl.Series) -> bool:
    values = column.fill_nan(None) if column.dtype.is_float() else column
    return values.null_count() == values.len()


def _sample(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    return frame if frame.height <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, seed=seed)


def _check(reference: pl.DataFrame, current: pl.DataFrame) -> None:
    for window, frame in (("reference", reference), ("current", current)):
        if frame.is_empty():
            raise DriftInputError(f"the {window} window has no rows")
    if set(reference.columns) != set(current.columns):
        raise DriftInputError(
            f"columns differ between the windows: {sorted(set(reference.columns) ^ set(current.columns))}"
        )
