"""The drift report: Evidently over a window of feature vectors against a reference window."""

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.drift.folder import mark_latest, write_whole
from orchestration.drift.policy import DRIFT_SHARE, LEAST_PSI, METHOD, SAMPLE_ROWS


class DriftInputError(ValueError):
    """Two windows cannot be compared; the message names the window, the file or the columns."""


@dataclass(frozen=True)
class DriftReport:
    """`scores` maps a column to its population stability index (PSI, >= 0), `thresholds` to where drift begins.

    `without_values` names columns that hold nothing in one of the windows: Evidently cannot compare them.
    """

    html: Path
    json: Path
    scores: dict[str, float]
    thresholds: dict[str, float]
    without_values: list[str]

    @property
    def drifted(self) -> list[str]:
        """Names of the drifted columns, the farthest above its threshold first."""
        above = [name for name, score in self.scores.items() if score >= self.thresholds[name]]
        return sorted(above, key=lambda name: -self.scores[name] / self.thresholds[name])


def write_report(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    folder: Path,
    name: str,
    *,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> DriftReport:
    """Compare two windows column by column; writes `<name>.html` and `<name>.json` and makes them the latest.

    Args:
        reference: columns of numbers or strings, e.g. the training window's features.
        current: the same columns, e.g. from the prediction log.
        folder: created if missing.
        name: file name without ending.
        thresholds: PSI from which a column counts as drifted; the policy's least where none is given.
        seed: of the sample drawn from a window above SAMPLE_ROWS rows.

    Returns:
        The written files, the PSI of each column and the thresholds.

    Raises:
        DriftInputError: a window is empty, the columns differ, or no column has values in both.
    """
    _check(reference, current)
    empty = [name for name in reference.columns if _without_values(reference[name]) or _without_values(current[name])]
    reference, current = sample(reference.drop(empty), seed), sample(current.drop(empty), seed)
    if not reference.columns:
        raise DriftInputError("no column has values in both windows")
    limits = {name: (thresholds or {}).get(name, LEAST_PSI) for name in reference.columns}
    folder.mkdir(parents=True, exist_ok=True)
    html, as_json = folder / f"{name}.html", folder / f"{name}.json"
    snapshot = _compare(reference, current, limits)
    write_whole(html, lambda draft: snapshot.save_html(str(draft)))
    write_whole(as_json, lambda draft: snapshot.save_json(str(draft)))
    mark_latest(folder, name)
    return DriftReport(html, as_json, _scores(as_json), limits, empty)


def sample(frame: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """The frame, or SAMPLE_ROWS rows of it: the same rows for the same seed."""
    return frame if frame.height <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, seed=seed)


def _compare(reference: pl.DataFrame, current: pl.DataFrame, thresholds: dict[str, float]) -> Any:
    # Evidently reads this when it is imported; a report must not call home.
    os.environ.setdefault("EVIDENTLY_DISABLE_TELEMETRY", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, from empty histogram bins inside Evidently
        from evidently import Dataset, Report
        from evidently.presets import DataDriftPreset

        preset = DataDriftPreset(method=METHOD, drift_share=DRIFT_SHARE, per_column_threshold=thresholds)
        return Report([preset]).run(
            current_data=Dataset.from_pandas(current.to_pandas()),
            reference_data=Dataset.from_pandas(reference.to_pandas()),
        )


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


def _check(reference: pl.DataFrame, current: pl.DataFrame) -> None:
    for window, frame in (("reference", reference), ("current", current)):
        if frame.is_empty():
            raise DriftInputError(f"the {window} window has no rows")
    if set(reference.columns) != set(current.columns):
        raise DriftInputError(
            f"columns differ between the windows: {sorted(set(reference.columns) ^ set(current.columns))}"
        )
