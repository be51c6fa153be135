"""A prediction log of made-up rows in a lake, as two arms answered it."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.ingestion.partitions import partition_path
from orchestration.ingestion.predictions import PAIRED_SCHEMA, PREDICTION_SCHEMA
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract

STEP = timedelta(minutes=1)


def log_answers(
    lake: Path,
    contract: ModelContract,
    vectors: NDArray[np.float32],
    scores: NDArray[np.floating],
    *,
    first: datetime,
    arm: str = "baseline",
    prefix: str = "p",
    outcome: str = "ok",
) -> list[str]:
    """Log `vectors` a minute apart from `first` on, answered by the contract's model; returns the prediction ids."""
    ids = [f"{prefix}{i}" for i in range(len(vectors))]
    rows = [
        {
            "prediction_id": name, "request_id": f"r-{name}", "event_time": first + i * STEP, "served_at": first + i * STEP,
            "arm": arm, "model": contract.model, "model_version": contract.version, "triton_model": triton_name(contract),
            "contract_digest": contract.digest, "epoch": 1, "generation": 1, "vector": vector.tolist(),
            "score": float(score), "decision": bool(score >= contract.decision_threshold), "outcome": outcome,
        }
        for i, (name, vector, score) in enumerate(zip(ids, vectors, scores, strict=True))
    ]  # fmt: skip
    _write(pl.DataFrame(rows, schema=PREDICTION_SCHEMA), lake / "predictions", f"{prefix}.parquet")
    return ids


def log_background(
    lake: Path, contract: ModelContract, ids: list[str], scores: NDArray[np.floating], *, first: datetime
) -> None:
    """What the contract's model said of these rows in the background."""
    rows = [
        {
            "prediction_id": name, "event_time": first + i * STEP, "arm": "shadow", "model_version": contract.version,
            "triton_model": triton_name(contract), "outcome": "ok", "score": float(score), "latency_us": 1,
        }
        for i, (name, score) in enumerate(zip(ids, scores, strict=True))
    ]  # fmt: skip
    _write(pl.DataFrame(rows, schema=PAIRED_SCHEMA), lake / "paired", "1.parquet")


def know_labels(lake: Path, ids: list[str], labels: NDArray[np.integer], *, first: datetime) -> None:
    """The flights of these requests and what became of them."""
    rows = pl.DataFrame(
        {
            "request_id": [f"r-{name}" for name in ids],
            "label": labels.astype(np.int8),
            "sched_dep": [first + i * STEP + timedelta(hours=1) for i in range(len(ids))],
        },
        schema_overrides={"sched_dep": pl.Datetime("us", "UTC")},
    )
    for (day,), part in rows.with_columns(day=pl.col("sched_dep").dt.date()).partition_by("day", as_dict=True).items():
        path = partition_path(lake / "training", day)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.drop("day").write_parquet(path)


def _write(frame: pl.DataFrame, folder: Path, name: str) -> None:
    by_day = frame.with_columns(day=pl.col("event_time").dt.date()).partition_by("day", as_dict=True, include_key=False)
    for (day,), part in by_day.items():
        target = folder / f"day={day}"
        target.mkdir(parents=True, exist_ok=True)
        part.write_parquet(target / name)
