"""The two windows that a drift report compares, as the model saw them: one Float32 column an input."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.features.inputs import vectors
from orchestration.features.training import read_training
from orchestration.ingestion.predictions import scan_predictions
from serving_gateway.contracts import ModelContract

TIME = "event_timestamp"
_LOGGED = ("request_id", "served_at", "contract_digest", "vector", "views", "degraded")


def logged_rows(
    lake: Path, contract: ModelContract, start: datetime, end: datetime, *, same_inputs: Callable[[str], bool]
) -> pl.DataFrame:
    """Requests with event time in (start, end], whichever arm answered, in no order; of one asked again, the latest.

    `same_inputs` says of a contract digest whether its inputs are those of `contract`; other rows are left out. Columns
    request_id, served_at, contract_digest, vector, views and degraded of the prediction log.
    """
    rows = _scan(lake, start, end).select(_LOGGED).collect()
    digests = [digest for digest in rows["contract_digest"].unique() if same_inputs(digest)]
    rows = rows.filter(pl.col("contract_digest").is_in(digests), pl.col("vector").list.len() == len(contract.inputs))
    if rows["request_id"].n_unique() == rows.height:  # as nearly always; to drop rows of lists is slow
        return rows
    return rows.sort("served_at").unique("request_id", keep="last", maintain_order=True)


def logged_height(lake: Path, start: datetime, end: datetime) -> int:
    """How many rows were logged with event time in (start, end], whatever model answered; none of them is read."""
    return int(_scan(lake, start, end).select(pl.len()).collect().item())


def inputs_of(rows: pl.DataFrame, contract: ModelContract) -> pl.DataFrame:
    """The vectors of logged rows, a Float32 column an input; NaN is null."""
    names = [i.name for i in contract.inputs]
    made = rows["vector"].list.to_array(len(names)).to_numpy()
    return pl.from_numpy(made, schema=dict.fromkeys(names, pl.Float32)).fill_nan(None)


def training_window(lake: Path, contract: ModelContract) -> pl.DataFrame:
    """Vectors of the rows that the contract's model was trained on, with their `event_timestamp`."""
    rows = read_training(lake / "training", *_days(contract))
    made = vectors(rows, contract.inputs)
    return pl.from_numpy(made, schema=[i.name for i in contract.inputs]).fill_nan(None).with_columns(rows[TIME])


def _scan(lake: Path, start: datetime, end: datetime) -> pl.LazyFrame:
    microsecond = timedelta(microseconds=1)
    return scan_predictions(lake, start + microsecond, end + microsecond)


def _days(contract: ModelContract) -> tuple[date, date]:
    """`sched_dep` days of the training window: requests of a day begin before its midnight (features/views.py)."""
    first, last = (datetime.fromisoformat(t) for t in (contract.training_start, contract.training_end))
    return first.date() + timedelta(days=1), last.date() + timedelta(days=1)
