"""The two windows that a drift report compares, as the model saw them: one Float32 column an input."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.inputs import vectors
from orchestration.features.training import read_training
from orchestration.ingestion.predictions import read_predictions
from serving_gateway.contracts import ModelContract

TIME = "event_timestamp"


def logged_window(
    lake: Path, contract: ModelContract, start: datetime, end: datetime, *, same_inputs: Callable[[str], bool]
) -> pl.DataFrame:
    """Vectors of the requests with event time in (start, end], whichever arm answered; of one asked again, the latest.

    `same_inputs` says of a contract digest whether its inputs are those of `contract`; other vectors are left out.
    """
    microsecond = timedelta(microseconds=1)
    rows = read_predictions(lake, start + microsecond, end + microsecond)
    digests = [digest for digest in rows["contract_digest"].unique() if same_inputs(digest)]
    latest = rows.sort("served_at").unique("request_id", keep="last", maintain_order=True)
    return latest.filter(pl.col("contract_digest").is_in(digests)).select(
        pl.col("vector").list.get(index).fill_nan(None).alias(i.name) for index, i in enumerate(contract.inputs)
    )


def training_window(lake: Path, contract: ModelContract) -> pl.DataFrame:
    """Vectors of the rows that the contract's model was trained on, with their `event_timestamp`."""
    rows = read_training(lake / "training", *_days(contract))
    made = vectors(rows, contract.inputs)
    return pl.from_numpy(made, schema=[i.name for i in contract.inputs]).fill_nan(None).with_columns(rows[TIME])


def _days(contract: ModelContract) -> tuple[date, date]:
    """`sched_dep` days of the training window: requests of a day begin before its midnight (features/views.py)."""
    first, last = (datetime.fromisoformat(t) for t in (contract.training_start, contract.training_end))
    return first.date() + timedelta(days=1), last.date() + timedelta(days=1)
