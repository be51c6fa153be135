"""What became of predictions: what was reported to the gateways, and for the rest what the lake knows of the flights.

A label is as good from either source; a report names the very prediction, so it goes before. Rows that have one only
when they went wrong would bias every comparison: whoever reports, reports both outcomes.
"""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.views import LATE_MIN, LEAD
from orchestration.ingestion.partitions import days, partition_path
from orchestration.ingestion.predictions import read_feedback

# A row matures when either outcome is known, so that the order of rows says nothing of their outcomes.
_MATURES_AFTER = LEAD + timedelta(minutes=LATE_MIN)
_COLUMNS = ("prediction_id", "subject", "label", "matures_at")


def labels_of(lake: Path, predictions: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The labels of `predictions` as far as they are known at the event time `now`.

    Args:
        lake: holds feedback/ and training/.
        predictions: columns prediction_id, request_id and event_time.
        now: event time; what was observed later is not known.

    Returns:
        Columns prediction_id, subject, label (0 or 1) and matures_at, the event time by which either label is known. A
        subject is what the label is of: the prediction where it was reported, the request (a flight, however often it
        was asked for) where it is the lake's.
    """
    asked = predictions.select("prediction_id", "request_id", "event_time")
    reported = asked.join(read_feedback(lake, asked["prediction_id"], now), on="prediction_id").select(
        "prediction_id",
        "request_id",
        subject="prediction_id",
        label=pl.col("outcome").cast(pl.Int8),
        matures_at=pl.col("event_time") + _MATURES_AFTER,
    )
    others = asked.join(reported, on="request_id", how="anti")
    known = others.join(_of_flights(lake / "training", others), on="request_id").with_columns(subject="request_id")
    return pl.concat([reported.select(_COLUMNS), known.select(_COLUMNS)])


def _of_flights(training: Path, asked: pl.DataFrame) -> pl.DataFrame:
    """Outcomes of the flights whose requests these are, from the days that have been ingested."""
    columns = {"request_id": pl.String(), "label": pl.Int8(), "sched_dep": pl.Datetime("us", "UTC")}
    rows = pl.DataFrame(schema=columns)
    if not asked.is_empty():
        first, last = asked["event_time"].min(), asked["event_time"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        # a request is made on the day of its flight or the one before
        wanted = days(first.date(), last.date() + timedelta(days=2))
        paths = [path for day in wanted if (path := partition_path(training, day)).exists()]
        frames = [pl.read_parquet(path, columns=list(columns), hive_partitioning=False) for path in paths]
        rows = pl.concat([rows, *frames])
    return rows.with_columns(matures_at=pl.col("sched_dep") + timedelta(minutes=LATE_MIN))
