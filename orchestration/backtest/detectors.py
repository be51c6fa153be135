"""What watches the data: the daily checks of production on the requests of one day, and the wait for labels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from orchestration.backtest.served import Served
from orchestration.backtest.usual import Usual, frame_of, median_ages
from orchestration.drift.data_quality import judge_shares, null_shares, outside_shares
from orchestration.drift.freshness import ServedViews, judge_freshness
from orchestration.drift.psi import scores
from orchestration.drift.verdict import judge_drift

DAILY_PSI, WEEKLY_PSI = "PSI of a feature", "weekly PSI of a feature"
# Checks that stand in the report and page nobody: of so many features one is above its threshold on most days.
CHATTY = frozenset({DAILY_PSI, WEEKLY_PSI})


@dataclass(frozen=True)
class Alarm:
    """`by` names the check, `subject` what it is about: a feature, a view, or the whole."""

    at: datetime
    by: str
    subject: str


def daily_alarms(served: Served, usual: Usual, now: datetime) -> Iterator[Alarm]:
    """What the checks of the data say at `now` of the requests of the day before; the plainest word first."""
    day = frame_of(served.vectors, usual.inputs)
    said = {
        "freshness": judge_freshness(_views(served), stale_limits=usual.stale, age_limits_s=usual.ages_s),
        "nulls": judge_shares(null_shares(day), usual.nulls, what="is null", rows=day.height, usual_rows=usual.rows),
        "ranges": judge_shares(
            outside_shares(day, usual.ranges), usual.outside, what="is outside", rows=day.height, usual_rows=usual.rows
        ),
    }
    for check, verdict in said.items():
        yield from (Alarm(now, check, subject) for subject in verdict.unusual)
    yield from _drift(day, usual, usual.psi, now, DAILY_PSI)


def weekly_alarms(served: Served, usual: Usual, now: datetime) -> Iterator[Alarm]:
    """What the drift report says at `now` of the requests of the week before."""
    yield from _drift(frame_of(served.vectors, usual.inputs), usual, usual.weekly_psi, now, WEEKLY_PSI)


def _drift(window: pl.DataFrame, usual: Usual, limits: Mapping[str, float], now: datetime, by: str) -> Iterator[Alarm]:
    """The verdict on the whole window, and every feature that reaches its limit; not of a window with too few rows."""
    found = scores(usual.reference, window)
    drifted = [name for name, psi in found.items() if psi >= limits[name]]
    verdict = judge_drift(drifted, compared=len(found), rows=window.height, usual_rows=usual.rows)
    if verdict.outcome == "fail":
        yield Alarm(now, "drift of half of the features", by)
    if verdict.outcome != "inconclusive":
        yield from (Alarm(now, by, name) for name in drifted)


def _views(served: Served) -> ServedViews:
    stale = {view: float(np.isnan(ages).mean()) for view, ages in served.ages.items()}
    return ServedViews(len(served.vectors), stale, median_ages(served), 0.0)
