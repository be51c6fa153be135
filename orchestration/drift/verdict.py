"""Has the window drifted? Columns and rows in, verdict and reason out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from orchestration.drift.policy import DRIFT_SHARE, FEWEST_ROWS

NAMED = 5


@dataclass(frozen=True)
class DriftVerdict:
    """`share`: of the compared columns, those that have drifted. Drift alone rolls nothing back: it is the world."""

    outcome: Literal["pass", "fail", "inconclusive"]
    share: float
    reason: str


def judge_drift(drifted: Sequence[str], *, compared: int, rows: int, usual_rows: float | None) -> DriftVerdict:
    """Fail where `DRIFT_SHARE` of the columns has drifted, unless the window has too few rows to tell.

    Args:
        drifted: columns at or above their threshold, worst first.
        compared: number of columns with values in both windows.
        rows: of the current window.
        usual_rows: median of past windows of the same length; None where none are known.
    """
    share = len(drifted) / compared if compared else 0.0
    if not compared:
        return DriftVerdict("inconclusive", share, "no column has values in both windows")
    if usual_rows is not None and rows < FEWEST_ROWS * usual_rows:
        return DriftVerdict(
            "inconclusive", share, f"{rows} rows, where {usual_rows:.0f} are usual, are too few to tell"
        )
    named = ", ".join(drifted[:NAMED]) + (f" and {len(drifted) - NAMED} more" if len(drifted) > NAMED else "")
    said = f"{len(drifted)} of {compared} features drifted" + (f": {named}" if drifted else "")
    return DriftVerdict("fail" if share >= DRIFT_SHARE else "pass", share, said)
