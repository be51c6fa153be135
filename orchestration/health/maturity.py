"""The label-maturity watermark: the event time up to which every prediction has the label that it will ever have."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

import polars as pl

from orchestration.features.views import LATE_MIN, LEAD, view_window

# By then either label is known to the world: the scheduled departure is LEAD after the request.
MATURES_AFTER = LEAD + timedelta(minutes=LATE_MIN)


def label_watermark(
    predictions: pl.DataFrame, labels: pl.DataFrame, stored: Collection[date], now: datetime
) -> datetime:
    """Event time before which no label is outstanding.

    The lake brings the labels of a day at once: below its newest day a prediction without one (a hole in the days, a flight
    that nobody knows) will not get any, and does not hold the watermark back. Above it, labels that callers reported
    count, up to the first prediction that has none.

    Args:
        predictions: columns prediction_id and event_time.
        labels: column prediction_id, of the labels that are known at `now`.
        stored: the days, by scheduled departure, whose outcomes are in the lake.
        now: event time; nothing younger than `MATURES_AFTER` is mature.
    """
    mature = now - MATURES_AFTER
    ingested = min(mature, view_window(max(stored), max(stored) + timedelta(days=1))[1]) if stored else None
    above = predictions if ingested is None else predictions.filter(pl.col("event_time") >= ingested)
    first = above.join(labels, on="prediction_id", how="anti")["event_time"].min()
    return min(mature, first) if isinstance(first, datetime) else mature


def late_labels(watermark: datetime, now: datetime, longest_wait: timedelta) -> str:
    """What is wrong with the labels at the event time `now`; empty where they come as they should.

    Late labels say nothing of the model: they blind whoever judges it.
    """
    waited = now - watermark
    if waited <= longest_wait:
        return ""
    return (
        f"labels are known up to {watermark:%Y-%m-%d %H:%M}, {waited / timedelta(hours=1):.0f} h behind the event clock; "
        f"more than {longest_wait / timedelta(hours=1):g} h is late: are days ingested, does feedback come?"
    )
