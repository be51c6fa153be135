"""The rows that two models scored, from the landed log, and their differences: canary minus baseline, row by row.

Both models score the same row, whichever of them answered it: the shadow what the baseline answered, the baseline in
reverse what the split gave to the canary. So that the arms differ by their keys, as they do under a sticky split, is in
neither side of a difference.

The frames are those of `orchestration.ingestion.predictions`; of the predictions, only the rows that the split placed.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.rollout.betting import Floats

_FAILED = ("error", "timeout")
# A float32 probability nearer to 0 or 1 than this is a rounding; it keeps log-odds finite.
_EPSILON = 1e-6


@dataclass(frozen=True)
class Pair:
    """The Triton models of the two arms that are compared."""

    baseline: str
    canary: str


def failure_differences(predictions: pl.DataFrame, paired: pl.DataFrame, pair: Pair) -> tuple[Floats, Floats]:
    """Errors with timeouts, and invalid outputs, each shape [n] with values -1, 0 and 1, in the order of the answers.

    The rows are those that the split gave to the canary, whether it answered or failed, and that the baseline scored or
    failed in the background. What the baseline answered in the first place is no such row, for one that it had failed
    would not be in the log. Only rows that are charged on both sides count, one of each exchange: by how many rows an
    exchange is shared differs between the two, and what happens to it is not their models' doing a row at a time.
    """
    canary_failed = pl.when(pl.col("fallback_from") == "canary").then(pl.col("fallback_outcome").fill_null("error"))
    placed = predictions.filter(_answered_by_canary(pair) | (pl.col("fallback_from") == "canary"), pl.col("charged"))
    reverse = paired.filter(_in_reverse(pair), pl.col("charged"))
    rows = (
        placed.select("prediction_id", "served_at", canary=canary_failed.otherwise(pl.lit("ok")))
        .join(reverse.select("prediction_id", baseline="outcome"), on="prediction_id")
        .sort("served_at", "prediction_id")
    )
    errors = pl.col("canary").is_in(_FAILED).cast(pl.Float64) - pl.col("baseline").is_in(_FAILED).cast(pl.Float64)
    invalid = (pl.col("canary") == "invalid").cast(pl.Float64) - (pl.col("baseline") == "invalid").cast(pl.Float64)
    found = rows.select(errors=errors, invalid=invalid)
    return found["errors"].to_numpy(), found["invalid"].to_numpy()


def scored_by_both(predictions: pl.DataFrame, paired: pl.DataFrame, pair: Pair) -> pl.DataFrame:
    """Rows that both models gave a score, in the order of the answers.

    Returns:
        Columns prediction_id, request_id, event_time, served_at, vector, baseline and canary (probabilities).
    """
    of_row = ("prediction_id", "request_id", "event_time", "served_at", "vector")
    scored = paired.filter(pl.col("outcome") == "ok")
    shadowed = scored.filter(pl.col("arm") == "shadow", pl.col("triton_model") == pair.canary)
    by_baseline = predictions.filter(pl.col("arm") != "canary", pl.col("triton_model") == pair.baseline)
    by_canary = predictions.filter(_answered_by_canary(pair))
    sides = [
        by_baseline.select(*of_row, baseline="score").join(
            shadowed.select("prediction_id", canary="score"), "prediction_id"
        ),
        by_canary.select(*of_row, canary="score").join(
            scored.filter(_in_reverse(pair)).select("prediction_id", baseline="score"), "prediction_id"
        ),
    ]
    columns = (*of_row, "baseline", "canary")
    return pl.concat([side.select(columns) for side in sides]).sort("served_at", "prediction_id")


def score_shifts(rows: pl.DataFrame, registered_baseline: Floats, registered_canary: Floats) -> Floats:
    """By how many log-odds the canary is further from the baseline than the two registered models are.

    Two models differ, and by how much changes with the weather; that is no guilt. What is compared is what was served with
    what the registered models say of the very vector that was logged: for a canary that serves its model, 0 in any weather.

    Args:
        rows: those of `scored_by_both`, n of them.
        registered_baseline: shape [n], probabilities that the registered baseline gives their vectors.
        registered_canary: shape [n], the registered canary's.

    Returns:
        Shape [n], clipped to [-1, 1]; NaN where a score is no probability.
    """
    served = log_odds(rows["canary"].to_numpy()) - log_odds(rows["baseline"].to_numpy())
    shift = served - (log_odds(registered_canary) - log_odds(registered_baseline))
    return np.clip(shift, -1.0, 1.0)


def log_odds(probabilities: NDArray[np.floating]) -> Floats:
    """log(p / (1 - p)), of probabilities within 1e-6 of 0 or 1 as of that; NaN where it is no probability."""
    p = np.asarray(probabilities, dtype=np.float64)
    inside = np.clip(np.where((p >= 0) & (p <= 1), p, np.nan), _EPSILON, 1 - _EPSILON)
    found: Floats = np.log(inside) - np.log1p(-inside)
    return found


def labelled(rows: pl.DataFrame, labels: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The rows of `scored_by_both` whose label is known, in the order in which they matured.

    That order must not depend on the label: a flight that leaves on time is known to be on time before another is known to
    be late, and a test that saw the rows in the order of their news would first see too many of one kind.

    Args:
        rows: those of `scored_by_both`.
        labels: columns prediction_id, subject (rows of one subject count once), label (0 or 1) and matures_at, the event
            time by which either label is known.
        now: event time; labels that mature later are left out.

    Returns:
        Columns request_id, label, baseline, canary.
    """
    mature = labels.filter(pl.col("matures_at") <= now).select("prediction_id", "subject", "label", "matures_at")
    return (
        rows.join(mature, on="prediction_id")
        .sort("matures_at", "request_id", "subject", "event_time", "prediction_id")
        .unique("subject", keep="first", maintain_order=True)
        .select("request_id", pl.col("label").cast(pl.Float64), "baseline", "canary")
    )


def brier_differences(labels: Floats, baseline: Floats, canary: Floats) -> Floats:
    """By how much the canary's squared error is larger than the baseline's, row by row.

    Args:
        labels: shape [n], 0 or 1.
        baseline: shape [n], the baseline's probabilities in [0, 1].
        canary: shape [n], the canary's.

    Returns:
        Shape [n], in [-1, 1]; NaN where a score is no probability.
    """
    sound = (baseline >= 0) & (baseline <= 1) & (canary >= 0) & (canary <= 1)
    return np.where(sound, (canary - labels) ** 2 - (baseline - labels) ** 2, np.nan)


def _answered_by_canary(pair: Pair) -> pl.Expr:
    return (pl.col("arm") == "canary") & (pl.col("triton_model") == pair.canary)


def _in_reverse(pair: Pair) -> pl.Expr:
    return (pl.col("arm") == "baseline") & (pl.col("triton_model") == pair.baseline)
