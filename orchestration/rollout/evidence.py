"""What is known of a canary: its differences from the baseline, row by row, and the rows that they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.rollout.policy import CriterionName

Floats = NDArray[np.float64]


def _none() -> Floats:
    return np.empty(0)


@dataclass(frozen=True)
class Evidence:
    """Differences canary minus baseline for each test, shape [n] each, in [-1, 1], in the order they became known.

    `errors` and `invalid_outputs`: whether the row failed so, canary minus baseline: -1, 0 or 1. `score_shift`: log-odds,
    clipped. `latency`: of a block of requests, 2 P(canary is slower) - 1. `loss`: squared error of the probability.
    What could not be computed is NaN: an error, not an absence. `absent` says of a test without rows why it has none.
    """

    errors: Floats = field(default_factory=_none)
    invalid_outputs: Floats = field(default_factory=_none)
    score_shift: Floats = field(default_factory=_none)
    latency: Floats = field(default_factory=_none)
    loss: Floats = field(default_factory=_none)
    absent: Mapping[CriterionName, str] = field(default_factory=dict)

    def of(self, name: CriterionName) -> Floats:
        """The differences of one test."""
        found: Floats = getattr(self, name)
        return found


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


def paired_rows(
    predictions: pl.DataFrame, paired: pl.DataFrame, labels: pl.DataFrame, *, baseline: str, canary: str, now: datetime
) -> pl.DataFrame:
    """Join answers of the baseline with the canary's background scores and the labels known at `now`.

    Args:
        predictions: rows of the prediction log; those that `baseline` answered count.
        paired: background scores; those of `canary` with outcome `ok` count.
        labels: columns prediction_id, subject (rows of one subject count once), label (0 or 1) and matures_at, the event
            time by which either label is known.
        baseline: Triton model of the baseline arm.
        canary: Triton model of the canary arm.
        now: event time; labels that mature later are left out.

    Returns:
        Columns request_id, label, baseline, canary (probabilities), in the order in which the rows matured. That order
        must not depend on the label: a flight that leaves on time is known to be on time before another is known to be
        late, and a test that saw the rows in the order of their news would first see too many of one kind.
    """
    answered = predictions.filter(pl.col("triton_model") == baseline).select(
        "prediction_id", "request_id", baseline="score"
    )
    shadowed = paired.filter((pl.col("triton_model") == canary) & (pl.col("outcome") == "ok")).select(
        "prediction_id", canary="score"
    )
    mature = labels.filter(pl.col("matures_at") <= now).select("prediction_id", "subject", "label", "matures_at")
    return (
        answered.join(shadowed, on="prediction_id")
        .join(mature, on="prediction_id", maintain_order="left")
        .unique("subject", keep="first", maintain_order=True)
        .sort("matures_at", "request_id", "subject")
        .select("request_id", pl.col("label").cast(pl.Float64), "baseline", "canary")
    )
