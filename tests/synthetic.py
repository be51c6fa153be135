"""Made-up training rows in the shape of the real ones, with a known relation between inputs and label."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.inputs import model_inputs
from orchestration.ingestion.partitions import write_partitions
from orchestration.training.contract import build_contract
from orchestration.training.lightgbm_onnx import to_onnx
from orchestration.training.lightgbm_recipe import train
from orchestration.training.recipe import Samples, window
from serving_gateway.contracts import Input, ModelContract

START = datetime(2013, 1, 1, tzinfo=UTC)
CARRIERS = ("9E", "AA", "B6", "DL", "EV", "UA")
ORIGINS = ("EWR", "JFK", "LGA")


@dataclass(frozen=True)
class Trained:
    """A LightGBM booster, the samples it saw, and its own scores of them: float64 [n]."""

    booster: Any
    samples: Samples
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class SyntheticModel:
    """A contract, the ONNX bytes that it names, and the trainer's side of them."""

    contract: ModelContract
    onnx: bytes
    trained: Trained


def synthetic_inputs() -> tuple[Input, ...]:
    return model_inputs({"carrier": CARRIERS, "origin": ORIGINS})


def synthetic_rows(n: int = 4000, *, days: int = 10, seed: int = 7) -> pl.DataFrame:
    """`n` rows over `days` days from `START`: the 26 features, nulls among them, `label` and `event_timestamp`."""
    rng = np.random.default_rng(seed)
    names = [i.name for i in synthetic_inputs()]
    numbers = {name: rng.normal(10, 20, n) for name in names[2:]}
    risk = 0.05 * numbers["e_org_dep_ewm1h_mean"] + 0.03 * numbers["r_tail_last_arr_delay"] - 1.5
    numbers |= {name: np.where(rng.random(n) < 0.1, np.nan, numbers[name]) for name in names[7:]}
    return pl.DataFrame(numbers, nan_to_null=True).with_columns(
        s_carrier=pl.Series(rng.choice(CARRIERS, n)),
        s_origin=pl.Series(rng.choice(ORIGINS, n)),
        s_dow=pl.Series(rng.integers(0, 7, n).astype(np.int32)),
        label=pl.Series((rng.random(n) < 1 / (1 + np.exp(-risk))).astype(np.int8)),
        event_timestamp=pl.Series([START + days * timedelta(days=1) * i / n for i in range(n)]).dt.cast_time_unit("us"),
    )


def write_partitioned(folder: Path, first: date, end: date) -> None:
    """Synthetic rows as training partitions: a day by `sched_dep`, an hour after the prediction's time."""
    rows = synthetic_rows(6000, days=(end - first).days).with_columns(
        carrier=pl.col("s_carrier"),
        origin=pl.col("s_origin"),
        sched_dep=pl.col("event_timestamp"),
        event_timestamp=pl.col("event_timestamp") - timedelta(hours=1),
    )
    write_partitions(rows, folder, first, end, day=pl.col("sched_dep").dt.date())


def synthetic_samples(n: int = 4000, *, seed: int = 7) -> Samples:
    """Every synthetic row as a sample."""
    return window(synthetic_rows(n, seed=seed), synthetic_inputs(), start=START, end=START + timedelta(days=10))


@cache
def synthetic_model(version: str = "1", *, seed: int = 7) -> SyntheticModel:
    """A small LightGBM on synthetic rows, exported, with its contract."""
    samples = synthetic_samples(seed=seed)
    booster = train(samples, synthetic_inputs(), rounds=20)
    onnx = to_onnx(booster, synthetic_inputs())
    contract = build_contract(
        onnx,
        version=version,
        run_id="0" * 32,
        inputs=synthetic_inputs(),
        views=(),
        training_start=START,
        training_end=START + timedelta(days=10),
    )
    return SyntheticModel(contract, onnx, Trained(booster, samples, booster.predict(samples.vectors)))
