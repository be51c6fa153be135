"""The rows on which a canary and its baseline are compared: both scored them, and their label is known."""

from datetime import datetime

import polars as pl


def paired_rows(
    predictions: pl.DataFrame, paired: pl.DataFrame, labels: pl.DataFrame, *, baseline: str, canary: str, now: datetime
) -> pl.DataFrame:
    """Join answers of the baseline with the canary's background scores and the labels known at `now`.

    Args:
        predictions: rows of the prediction log; those that `baseline` answered count.
        paired: background scores; those of `canary` with outcome `ok` count.
        labels: columns request_id, label (0 or 1) and label_known_at (event time).
        baseline: Triton model of the baseline arm.
        canary: Triton model of the canary arm.
        now: event time; labels known later are left out.

    Returns:
        Columns request_id, label, baseline, canary (probabilities), in the order in which the labels became known.
    """
    answered = predictions.filter(pl.col("triton_model") == baseline).select(
        "prediction_id", "request_id", baseline="score"
    )
    shadowed = paired.filter((pl.col("triton_model") == canary) & (pl.col("outcome") == "ok")).select(
        "prediction_id", canary="score"
    )
    mature = labels.filter(pl.col("label_known_at") <= now).select("request_id", "label", "label_known_at")
    return (
        answered.join(shadowed, on="prediction_id")
        .unique("request_id", keep="first", maintain_order=True)
        .join(mature, on="request_id")
        .sort("label_known_at", "request_id")
        .select("request_id", pl.col("label").cast(pl.Float64), "baseline", "canary")
    )
