"""The figures of a drift report: what the page, the gauges, later reports and other programs read of it."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from orchestration.drift.folder import reports

FIGURES = "figures"


class Said(Struct, frozen=True, kw_only=True):
    """A verdict and its sentence. `outcome`: pass, fail or inconclusive."""

    outcome: str
    reason: str


class Levels(Struct, frozen=True, kw_only=True):
    """By name, what was measured, and above which limit it is unusual."""

    value: dict[str, float] = {}
    limit: dict[str, float] = {}

    @property
    def worst_first(self) -> list[str]:
        """Names by how far they are above their limit, as a multiple of it; those without a limit last."""
        return sorted(self.value, key=lambda name: -self.value[name] / (self.limit.get(name) or float("inf")))


class DriftFigures(Struct, frozen=True, kw_only=True):
    """What a report found, stored under `figures` in its JSON file.

    `start` and `end` are event time (ISO 8601), empty where files were compared; `hours` is the window's length. `psi` is
    by feature, its limit the threshold from which on it has drifted; `drifted`, those that have, the farthest above first,
    are the `share` of those compared. `nulls` and `outside` are shares of rows by feature,
    `stale` by view; `age_s` is the median age of a view in seconds; `degraded` the share of rows answered without the
    online store. `checks` holds the verdicts `nulls`, `ranges` and `freshness`.
    """

    name: str
    reference: str
    current: str
    rows: int
    reference_rows: int
    verdict: Said
    share: float
    psi: Levels
    drifted: list[str]
    start: str = ""
    end: str = ""
    hours: float = 0.0
    without_values: list[str] = []
    nulls: Levels = Levels()
    outside: Levels = Levels()
    stale: Levels = Levels()
    age_s: Levels = Levels()
    degraded: float = 0.0
    checks: dict[str, Said] = {}


def with_figures(document: bytes, figures: DriftFigures) -> bytes:
    """Evidently's JSON with our figures in it."""
    whole = json.loads(document)
    whole[FIGURES] = msgspec.to_builtins(figures)
    return json.dumps(whole).encode()


def read_figures(path: Path) -> DriftFigures | None:
    """The figures in a report's JSON file; None where an older report has none.

    Raises:
        ValueError: the file is no report; the message names it and the field.
    """
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Report)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is no drift report: {error}") from error
    return document.figures


def earlier(folder: Path, *, before: str, hours: float) -> list[DriftFigures]:
    """Figures of the reports in `folder` on windows of the same length that ended before `before`, the last first.

    One that was written again counts as it was written last. Raises ValueError as `read_figures`.
    """
    found: Mapping[str, DriftFigures] = {
        figures.end: figures
        for path in reversed(reports(folder))
        if (figures := read_figures(path)) is not None and figures.hours == hours and "" != figures.end < before
    }
    return sorted(found.values(), key=lambda figures: figures.end, reverse=True)


def since(figures: DriftFigures, past: list[DriftFigures]) -> dict[str, str]:
    """By drifted feature, the end (ISO 8601) of the first of the unbroken row of reports in which it had drifted.

    `past`: earlier reports of the same length, the last first.
    """
    began = dict.fromkeys(figures.drifted, figures.end)
    still = set(began)
    for report in past:
        still &= set(report.drifted)
        began |= dict.fromkeys(still, report.end)
    return began


class _Report(Struct):
    figures: DriftFigures | None = None
