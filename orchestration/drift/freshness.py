"""How fresh the features were that the models were served: stale views and their ages, from the prediction log.

A view is stale for a row where it was expired or missing. How often that is usual, the training window says: there a
stale view has left nulls in all of its inputs. How old views are, only earlier windows of the log can say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.drift.data_quality import NAMED, DataVerdict, Shares, known
from orchestration.drift.policy import AGE_FACTOR, AGE_OF_TTL, DEGRADED_SHARE, FEWEST_WINDOWS, USUAL_QUANTILE
from serving_gateway.contracts import Input
from serving_gateway.contracts.model import stored_features


@dataclass(frozen=True)
class ServedViews:
    """Of `rows` logged rows, by view: `stale` share in [0, 1], median `age_s` in seconds where present.

    `degraded`: the share of rows that were answered without the online store; they count in no view.
    """

    rows: int
    stale: Shares
    age_s: dict[str, float]
    degraded: float


def served_views(predictions: pl.DataFrame) -> ServedViews:
    """Freshness of logged rows: columns `views` (list of view, status, age_s) and `degraded` of the prediction log."""
    seen = (
        predictions.lazy()
        .filter(~pl.col("degraded"))
        .select("views")
        .drop_nulls()
        .explode("views", empty_as_null=False)
        .unnest("views")
        .group_by("view")
        .agg(
            stale=(pl.col("status") != "present").mean(),
            age_s=pl.col("age_s").filter(pl.col("status") == "present").median(),
        )
        .sort("view")
        .collect()
    )
    ages = seen.drop_nulls("age_s")
    degraded = predictions["degraded"].mean() if predictions.height else 0.0
    return ServedViews(
        predictions.height,
        dict(zip(seen["view"], seen["stale"], strict=True)),
        dict(zip(ages["view"], ages["age_s"], strict=True)),
        float(degraded or 0.0),  # type: ignore[arg-type]
    )


def stale_shares(window: pl.DataFrame, inputs: Sequence[Input]) -> Shares:
    """By view that `inputs` read, the share of rows in which all of its inputs are null: it was missing or expired."""
    by_view: dict[str, list[str]] = {}
    for i in inputs:
        for view in {view for view, _ in stored_features(i.source)}:
            by_view.setdefault(view, []).append(i.name)
    counted = window.select(
        pl.all_horizontal(known(name, window.schema[name]).is_null() for name in names).mean().alias(view)
        for view, names in by_view.items()
    )
    return counted.row(0, named=True) if by_view else {}


def age_limits(ttl_s: Mapping[str, float], past: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median age in seconds above which a view is old, by view of `ttl_s`.

    AGE_FACTOR times USUAL_QUANTILE of the median ages of past logged windows, the ttl at most; where fewer than
    FEWEST_WINDOWS know the view, AGE_OF_TTL of its ttl.
    """
    limits = {}
    for view, ttl in ttl_s.items():
        ages = [window[view] for window in past if view in window]
        usual = AGE_FACTOR * float(np.quantile(ages, USUAL_QUANTILE)) if len(ages) >= FEWEST_WINDOWS else None
        limits[view] = AGE_OF_TTL * ttl if usual is None else min(usual, ttl)
    return limits


def judge_freshness(
    served: ServedViews, *, stale_limits: Mapping[str, float], age_limits_s: Mapping[str, float]
) -> DataVerdict:
    """Fail where a view was stale for too many rows or too old, or too many were answered without the online store."""
    if not served.rows:
        return DataVerdict("inconclusive", "no row has been logged")
    said: dict[str, str] = {}
    if served.degraded > DEGRADED_SHARE:
        said["online store"] = f"the online store was away for {served.degraded:.1%} of the rows"
    for view, share in served.stale.items():
        if share > (limit := stale_limits.get(view, 1.0)):
            said[view] = f"{view} was missing or expired for {share:.1%} of the rows (usual: up to {limit:.1%})"
    for view, age in served.age_s.items():
        if view not in said and age > (limit := age_limits_s.get(view, float("inf"))):
            said[view] = f"{view} was {age / 3600:.1f} h old in the median (usual: up to {limit / 3600:.1f} h)"
    if not said:
        return DataVerdict("pass", f"as usual, in all of {len(served.stale)} views")
    more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
    return DataVerdict("fail", ", ".join([*said.values()][:NAMED]) + more, tuple(said))
