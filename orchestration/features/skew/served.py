"""What was served, as the prediction log has it: the rows that can be recomputed, and those that cannot."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl

from orchestration.features.chain import days_of
from orchestration.features.views import LEAD
from orchestration.ingestion.predictions import read_predictions
from serving_gateway.contracts.model import ModelContract

GIVEN, DEFAULT, UNKNOWN = "given features", "default", "unknown contract"
APART = {
    GIVEN: "the caller sent the vector, nothing was looked up",
    DEFAULT: "answered without the online store (`degraded`), every stored feature missing",
    UNKNOWN: "the contract is in the rollout store no more, so nobody knows what the vector means",
}


@dataclass(frozen=True)
class Served:
    """Logged rows that can be recomputed, by the contract that they were made by, in event order.

    `rows` have the log's columns (ingestion/predictions.py), with `event_timestamp` for the event time and a column for
    each entity. `apart` counts the others by name (see APART); `logged` all.
    """

    rows: list[tuple[ModelContract, pl.DataFrame]]
    apart: dict[str, int]
    logged: int


def read_served(
    lake: Path, start: datetime, end: datetime, contract_of: Callable[[str], ModelContract | None]
) -> Served:
    """The predictions with an event time in [start, end).

    `contract_of` gives the contract of a digest, None where it is unknown.
    """
    logged = read_predictions(lake, start, end)
    contracts = {digest: contract_of(digest) for digest in logged["contract_digest"].unique().sort()}
    known = [digest for digest, contract in contracts.items() if contract is not None]
    kind = (
        pl.when(pl.col("degraded"))
        .then(pl.lit(DEFAULT))
        .when(pl.col("views").list.len() == 0)
        .then(pl.lit(GIVEN))
        .when(~pl.col("contract_digest").is_in(known))
        .then(pl.lit(UNKNOWN))
    )
    kinds = logged.select(kind=kind)["kind"]
    rows = logged.filter(kinds.is_null()).rename({"event_time": "event_timestamp"})
    parts = rows.partition_by("contract_digest", as_dict=True, maintain_order=True)
    return Served(
        rows=[(contract, _with_entities(part)) for (digest,), part in parts.items() if (contract := contracts[digest])],
        apart={name: int((kinds == name).sum()) for name in APART},
        logged=logged.height,
    )


def newest_day(lake: Path) -> date | None:
    """The newest day with logged predictions whose features are stored; else the newest with any; None without any."""
    newest = None
    stored = days_of(lake, "feature_views")
    for folder in sorted((lake / "predictions").glob("day=*"), reverse=True):
        for day in _days_of(folder):
            newest = newest or day
            if day in stored:
                return day
    return newest


def _days_of(folder: Path) -> list[date]:
    """Days of a folder's predictions, newest first: the folder holds a UTC day, which ends in the next feature day."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        return []
    day = (pl.col("event_time") + LEAD).dt.date()
    found = pl.scan_parquet(files, hive_partitioning=False).select(day.unique().sort(descending=True)).collect()
    return found.to_series().to_list()


def _with_entities(rows: pl.DataFrame) -> pl.DataFrame:
    """A String column for each entity that any row names; null where a row does not."""
    named = rows.select("prediction_id", pl.col("entities")).explode("entities").unnest("entities").drop_nulls("name")
    wide = named.pivot("name", index="prediction_id", values="value")
    return rows.join(wide, on="prediction_id", how="left", maintain_order="left")
