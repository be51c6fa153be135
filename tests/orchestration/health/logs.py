"""A prediction log of made-up requests, and the lake's outcomes of them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from orchestration.ingestion.partitions import partition_path
from orchestration.ingestion.predictions import FEEDBACK_SCHEMA, PREDICTION_SCHEMA
from tests.orchestration.health.windows import scores, shifted

DAY = timedelta(days=1)
MODEL = "flight_delay_v1"


def write_days(
    lake: Path, first: date, days: int, *, log_odds: float = 0.0, rows: int = 300, outcomes: bool = True, **columns: Any
) -> None:
    """Days of requests that MODEL answered; the truth lies `log_odds` above its scores. `columns` of the log may differ."""
    for n in range(days):
        day = first + n * DAY
        seed = day.toordinal()
        p = scores(seed, rows)
        late = np.random.default_rng(seed + 1_000_000).random(rows) < shifted(p, log_odds)
        # the requests of a day's flights begin an hour before its midnight
        asked = [
            datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=4 * i - 60) for i in range(rows)
        ]
        names = [f"{day}-{i:04}" for i in range(rows)]
        frame = pl.DataFrame({"request_id": names, "event_time": asked, "score": p})
        write_answers(lake, frame.with_columns(**{k: pl.lit(v) for k, v in columns.items()}), name=f"{day}")
        if outcomes:
            write_outcomes(lake, day, names, asked, late)


def write_answers(lake: Path, frame: pl.DataFrame, *, name: str) -> None:
    """Rows of the log with the columns that they have; an answer of MODEL's, named as its request, where it does not say."""
    defaults = {
        "prediction_id": pl.col("request_id"), "served_at": pl.col("event_time"), "triton_model": pl.lit(MODEL),
        "routing": pl.lit("split"), "degraded": pl.lit(value=False),
    }  # fmt: skip
    frame = frame.with_columns(**{k: v for k, v in defaults.items() if k not in frame.columns})
    missing = [pl.lit(None, dtype).alias(c) for c, dtype in PREDICTION_SCHEMA.items() if c not in frame.columns]
    frame = frame.with_columns(missing).select(list(PREDICTION_SCHEMA)).cast(dict(PREDICTION_SCHEMA))
    by_day = frame.with_columns(day=pl.col("event_time").dt.date()).partition_by("day", as_dict=True, include_key=False)
    for (day,), part in by_day.items():
        folder = lake / "predictions" / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        part.write_parquet(folder / f"{name}.parquet")


def write_outcomes(lake: Path, day: date, names: list[str], asked: list[datetime], late: Any) -> None:
    path = partition_path(lake / "training", day)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "request_id": names,
        "label": np.asarray(late, np.int8),
        "sched_dep": [a + timedelta(hours=1) for a in asked],
    }
    schema = {"request_id": pl.String(), "label": pl.Int8(), "sched_dep": pl.Datetime("us", "UTC")}
    pl.DataFrame(columns, schema=schema).write_parquet(path)


def write_report_of(lake: Path, prediction_id: str, outcome: bool, observed: datetime, *, made: date) -> None:
    """A caller's feedback on the prediction whose id was made on the day `made`."""
    folder = lake / "feedback" / f"day={made}"
    folder.mkdir(parents=True, exist_ok=True)
    row = [(prediction_id, outcome, observed, observed)]
    pl.DataFrame(row, schema=FEEDBACK_SCHEMA, orient="row").write_parquet(folder / f"{prediction_id}.parquet")
