"""The drift report: a window of feature vectors against a reference, decided on all rows, drawn by Evidently on a sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from orchestration.drift.drawing import Drawing
from orchestration.drift.figures import DriftFigures, Levels, with_figures
from orchestration.drift.folder import mark_latest, write_whole
from orchestration.drift.policy import LEAST_PSI
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
    def limits(self) -> dict[str, float]:
        """By compared column, the PSI from which it has drifted."""
        return {name: limit for name, limit in self.psi.limit.items() if name in self.psi.value}

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


def write_report(drawn: Drawing, folder: Path, figures: DriftFigures, *, front: str) -> DriftReport:
    """Write `<name>.html` and `<name>.json` of compared windows, and make them the latest.

    Args:
        drawn: Evidently's page and figures of the windows.
        folder: created if missing.
        figures: what was found; their name is the files' without ending. The JSON is Evidently's with them in it.
        front: HTML that the page opens with, before Evidently's part of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html, as_json = folder / f"{figures.name}.html", folder / f"{figures.name}.json"
    page = drawn.html.replace(_BODY, _BODY + front, 1)
    write_whole(html, lambda draft: draft.write_text(page))
    write_whole(as_json, lambda draft: draft.write_bytes(with_figures(drawn.json, figures)))
    mark_latest(folder, figures.name)
    return DriftReport(html, as_json, figures)


def _check(reference: pl.DataFrame, current: pl.DataFrame) -> None:
    for window, frame in (("reference", reference), ("current", current)):
        if frame.is_empty():
            raise DriftInputError(f"the {window} window has no rows")
    if set(reference.columns) != set(current.columns):
        raise DriftInputError(
            f"columns differ between the windows: {sorted(set(reference.columns) ^ set(current.columns))}"
        )
