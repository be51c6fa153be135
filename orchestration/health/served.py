"""What a model answered, and what became of it: the rows that its health is judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.chain import days_of
from orchestration.features.views import view_window
from orchestration.health.label_free import estimated
from orchestration.health.maturity import label_watermark
from orchestration.health.past import PastWindow
from orchestration.health.windows import window_days, window_health
from orchestration.ingestion.predictions import scan_predictions
from orchestration.rollout.ground_truth import labels_of

Days = tuple[date, date]


@dataclass(frozen=True)
class Served:
    """Answers of one model: columns event_time, score and label (null where it is not known), in order of event time.

    Before `watermark`, in event time, no label is outstanding.
    """

    rows: pl.DataFrame
    watermark: datetime

    def within(self, days: Days) -> pl.DataFrame:
        """The rows of the days [first, end), labelled or not."""
        return self.rows.filter(pl.col("event_time").is_between(*view_window(*days), closed="left"))

    def since(self, day: date) -> pl.DataFrame:
        """The rows of `day` and later, labelled or not."""
        return self.rows.filter(pl.col("event_time") >= view_window(day, day)[0])

    def window(self, days: Days) -> PastWindow | None:
        """How the model did on the labelled rows of the days; None where there are none."""
        rows = self.within(days).drop_nulls("label")
        if rows.is_empty():
            return None
        scores = rows["score"].to_numpy()
        return PastWindow(*days, window_health(rows["label"].to_numpy(), scores), estimated(scores))

    def whole(self, length: int) -> Sequence[Days]:
        """Windows of `length` days in which the model answered and all labels have come, in order of time."""
        if self.rows.is_empty():
            return []
        first = self.rows["event_time"][0]
        found = []
        days = window_days(_day_of(first), length)
        while view_window(*days)[1] <= self.watermark:
            found.append(days)
            days = window_days(days[1], length)
        return found


def served(lake: Path, triton_model: str, since: datetime, now: datetime) -> Served:
    """The answers of a model with an event time in [since, now], whichever arm it was.

    A request that was asked again counts once: the answer that has a label, and of those the latest. Answers of an arm that
    the caller named were chosen, not drawn; those without stored features say nothing of the model: both are left out.
    """
    # vectors are left where they are: they are most of the log
    answered = (
        scan_predictions(lake, since, now + timedelta(microseconds=1))
        .filter(pl.col("triton_model") == triton_model, pl.col("routing") == "split", ~pl.col("degraded"))
        .select("prediction_id", "request_id", "event_time", "served_at", "score")
        .unique("prediction_id")
        .collect()
    )
    labels = labels_of(lake, answered, now).filter(pl.col("matures_at") <= now).select("prediction_id", "label")
    rows = (
        answered.join(labels, on="prediction_id", how="left", validate="1:1")
        .sort(pl.col("label").is_not_null(), "served_at", "prediction_id")
        .unique("request_id", keep="last", maintain_order=True)
        .sort("event_time", "prediction_id")
    )
    stored = {day for day in days_of(lake, "training_rows") if view_window(day, day)[0] < now}
    watermark = label_watermark(rows, rows.drop_nulls("label"), stored, now)
    return Served(rows.select("event_time", "score", "label"), watermark)


def _day_of(time: datetime) -> date:
    """The day whose partition holds the event time (features/views.py)."""
    day = time.astimezone(UTC).date()
    return day if time < view_window(day, day + timedelta(days=1))[1] else day + timedelta(days=1)
