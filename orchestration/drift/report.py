"""The drift report: a window of feature vectors against a reference, decided on all rows, drawn by Evidently on a sample."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.drift.figures import DriftFigures, Levels, with_figures
from orchestration.drift.folder import mark_latest, write_whole
from orchestration.drift.policy import DRIFT_SHARE, LEAST_PSI, METHOD, SAMPLE_ROWS
from orchestration.drift.psi import prepared, scores

_BODY = "<body>"


class DriftInputError(ValueError):
    """Two windows cannot be compared; the message names the window, the file or the columns."""


@dataclass(frozen=True)
class Comparison:
    """PSI (>= 0) by column with the threshold where drift begins, over all rows.

    `without_values` names columns that hold nothing in one of the windows: they cannot be compared.
    """

    psi: Levels
    without_values: list[str]

    @property
    def drifted(self) -> list[str]:
        """Names of the drifted columns, the farthest above its threshold first."""
        return [name for name in self.psi.worst_first if self.psi.value[name] >= self.psi.limit[name]]


@dataclass(frozen=True)
class DriftReport:
    """Where a report lies, and what it says."""

    html: Path
    json: Path
    figures: DriftFigures


def compare(
    reference: pl.DataFrame, current: pl.DataFrame, thresholds: Mapping[str, float] | None = None
) -> Comparison:
    """Compare two windows column by column, on all of their rows.

    Args:
        reference: columns of numbers or strings, e.g. the training window's features.
        current: the same columns, e.g. from the prediction log.
        thresholds: PSI from which a column counts as drifted; the policy's least where none is given.

    Raises:
        DriftInputError: a window has no rows, the columns differ, or no column has values in both windows.
    """
    _check(reference, current)
    found = scores(prepared(reference, reference.columns), current)
    if not found:
        raise DriftInputError("no column has values in both windows")
    limits = {name: (thresholds or {}).get(name, LEAST_PSI) for name in reference.columns}
    return Comparison(Levels(value=found, limit=limits), [name for name in reference.columns if name not in found])


def write_report(
    reference: pl.DataFrame, current: pl.DataFrame, folder: Path, figures: DriftFigures, *, front: str, seed: int = 0
) -> DriftReport:
    """Write `<name>.html` and `<name>.json` of compared windows, and make them the latest.

    Args:
        reference: as it was compared.
        current: the same columns.
        folder: created if missing.
        figures: what was found; their name is the files' without ending. The JSON is Evidently's with them in it.
        front: HTML that the page opens with, before Evidently's part of it.
        seed: of the sample that Evidently draws from a window above SAMPLE_ROWS rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, as_json = folder / f"{figures.name}.html", folder / f"{figures.name}.json"
    shown = [name for name in reference.columns if name in figures.psi.value]
    snapshot = _drawn(sample(reference.select(shown), seed), sample(current.select(shown), seed), figures.psi.limit)
    page = snapshot.get_html_str(as_iframe=False).replace(_BODY, _BODY + front, 1)
    write_whole(html, lambda draft: draft.write_text(page))
    write_whole(as_json, lambda draft: draft.write_bytes(with_figures(snapshot.json().encode(), figures)))
    mark_latest(folder, figures.name)
    return DriftReport(html, as_json, figures)


def sample(frame: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """The frame, or SAMPLE_ROWS rows of it: the same rows for the same seed."""
    return frame if frame.height <= SAMPLE_ROWS else frame.sample(SAMPLE_ROWS, seed=seed)


def _drawn(reference: pl.DataFrame, current: pl.DataFrame, thresholds: Mapping[str, float]) -> Any:
    # Evidently reads this when it is imported; a report must not call home.
    os.environ.setdefault("EVIDENTLY_DISABLE_TELEMETRY", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, from empty histogram bins inside Evidently
        from evidently import Dataset, Report
        from evidently.presets import DataDriftPreset

        limits = {name: thresholds[name] for name in reference.columns}
        preset = DataDriftPreset(method=METHOD, drift_share=DRIFT_SHARE, per_column_threshold=limits)
        return Report([preset]).run(
            current_data=Dataset.from_pandas(current.to_pandas()),
            reference_data=Dataset.from_pandas(reference.to_pandas()),
        )


def _check(reference: pl.DataFrame, current: pl.DataFrame) -> None:
    for window, frame in (("reference", reference), ("current", current)):
        if frame.is_empty():
            raise DriftInputError(f"the {window} window has no rows")
    if set(reference.columns) != set(current.columns):
        raise DriftInputError(
            f"columns differ between the windows: {sorted(set(reference.columns) ^ set(current.columns))}"
        )
