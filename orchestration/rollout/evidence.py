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
