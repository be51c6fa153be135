"""The data checks of a drift report: nulls, ranges and freshness of a logged window, against what was usual."""

from collections.abc import Sequence
from typing import TypedDict

import polars as pl

from orchestration.drift.data_quality import (
    DataVerdict,
    judge_shares,
    null_shares,
    outside_shares,
    usual_height,
    usual_limits,
    usual_ranges,
)
from orchestration.drift.figures import DriftFigures, Levels, Said
from orchestration.drift.freshness import age_limits, judge_freshness, served_views, stale_shares
from orchestration.drift.policy import NULL_MARGIN, OUTSIDE_MARGIN
from serving_gateway.contracts import ModelContract

CHECKS = ("nulls", "ranges", "freshness")


class DataChecks(TypedDict):
    """The fields of DriftFigures that say how the data were."""

    nulls: Levels
    outside: Levels
    stale: Levels
    age_s: Levels
    degraded: float
    checks: dict[str, Said]


def data_checks(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    past: Sequence[pl.DataFrame],
    logged: pl.DataFrame,
    contract: ModelContract,
    *,
    earlier: Sequence[DriftFigures],
) -> DataChecks:
    """Measure a window and judge it.

    Args:
        reference: the training window, a column an input.
        current: the logged window, the same columns.
        past: windows of the reference of the same length.
        logged: the rows that `current` was made of, with `views` and `degraded`.
        contract: whose inputs and views these are.
        earlier: reports on logged windows of the same length; those on fresh features say what ages are usual.
    """
    usual_rows, rows = usual_height(past), current.height
    ranges = usual_ranges(reference)
    nulls = Levels(
        value=null_shares(current),
        limit=usual_limits(null_shares(reference), [null_shares(w) for w in past], margin=NULL_MARGIN),
    )
    outside = Levels(
        value=outside_shares(current, ranges),
        limit=usual_limits(
            outside_shares(reference, ranges), [outside_shares(w, ranges) for w in past], margin=OUTSIDE_MARGIN
        ),
    )
    served = served_views(logged)
    usual = usual_limits(
        stale_shares(reference, contract.inputs), [stale_shares(w, contract.inputs) for w in past], margin=NULL_MARGIN
    )
    fresh = [e.age_s.value for e in earlier if "freshness" in e.checks and e.checks["freshness"].outcome == "pass"]
    ages = age_limits({view.name: float(view.ttl_s) for view in contract.views if view.ttl_s}, fresh)
    return DataChecks(
        nulls=nulls,
        outside=outside,
        stale=Levels(value=served.stale, limit=usual),
        age_s=Levels(value=served.age_s, limit=ages),
        degraded=served.degraded,
        checks={
            "nulls": _said(judge_shares(nulls.value, nulls.limit, what="is null", rows=rows, usual_rows=usual_rows)),
            "ranges": _said(
                judge_shares(outside.value, outside.limit, what="is out of range", rows=rows, usual_rows=usual_rows)
            ),
            "freshness": _said(judge_freshness(served, stale_limits=usual, age_limits_s=ages)),
        },
    )


def _said(verdict: DataVerdict) -> Said:
    return Said(outcome=verdict.outcome, reason=verdict.reason)
