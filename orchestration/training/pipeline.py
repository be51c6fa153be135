"""Training as one call: rows to a registered version with its contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from orchestration.features.inputs import model_inputs, vocabularies
from orchestration.features.training import read_training
from orchestration.features.views import view_window
from orchestration.training.contract import build_contract
from orchestration.training.evaluation import Metrics, evaluate
from orchestration.training.lightgbm_recipe import PARAMETERS, ROUNDS, train, window
from orchestration.training.onnx_model import parity, score, to_onnx
from orchestration.training.registry import Alias, log_training, register
from serving_gateway.contracts import Input, ModelContract, ViewLayout

Days = tuple[date, date]


@dataclass(frozen=True)
class Windows:
    """Half-open ranges of `sched_dep` days; the hold-out must not begin before the training window ends."""

    train: Days
    holdout: Days

    def __post_init__(self) -> None:
        if self.holdout[0] < self.train[1]:
            raise ValueError(
                f"the hold-out begins on {self.holdout[0]}, before the training window ends on {self.train[1]}: "
                "a model judged on days it has seen looks better than it is"
            )


@dataclass(frozen=True)
class Registration:
    """What came out. `parity`: largest difference between ONNX Runtime's and the trainer's scores."""

    contract: ModelContract
    holdout: Metrics
    training_samples: int
    parity: float


def train_and_register(
    mlflow: Any,
    training: Path,
    windows: Windows,
    views: Sequence[ViewLayout],
    *,
    alias: Alias,
    like: ModelContract | None = None,
) -> Registration:
    """Train LightGBM on the training window, export, prove parity, judge on the hold-out, register under `alias`.

    Args:
        mlflow: the module or dagster-mlflow's resource, with an active run.
        training: folder of the training rows' partitions.
        windows: training and hold-out days.
        views: Redis layout of the feature service, which travels in the contract.
        alias: registered-model alias to move to the new version.
        like: contract whose inputs, vocabularies included, the new version must share, so that both score one vector;
            without it they come from the training rows.

    Raises:
        MissingPartitionError, TrainingDataError, ParityError: nothing is registered then.
    """
    rows, holdout_rows = read_training(training, *windows.train), read_training(training, *windows.holdout)
    inputs = like.inputs if like else model_inputs(vocabularies(rows))
    first, last = view_window(*windows.train)
    trained = train(rows, inputs, start=first, end=last)
    onnx = to_onnx(trained.booster, width=len(inputs))
    worst = parity(onnx, trained.samples.vectors, trained.scores)
    metrics = _judge(onnx, holdout_rows, inputs, windows.holdout)
    log_training(mlflow, {**PARAMETERS, "rounds": ROUNDS, **_described(windows)}, {"holdout": metrics})
    mlflow.log_metric("onnx_parity", worst)
    contract = register(
        mlflow,
        onnx,
        lambda version, run_id: build_contract(
            onnx, version=version, run_id=run_id, inputs=inputs, views=views, training_start=first, training_end=last
        ),
        alias=alias,
    )
    return Registration(contract, metrics, len(trained.samples.labels), worst)


def _judge(onnx: bytes, rows: pl.DataFrame, inputs: Sequence[Input], days: Days) -> Metrics:
    first, last = view_window(*days)
    samples = window(rows, inputs, start=first, end=last)
    return evaluate(samples.labels.astype(np.int64), score(onnx, samples.vectors))


def _described(windows: Windows) -> dict[str, str]:
    return {"train_days": "/".join(map(str, windows.train)), "holdout_days": "/".join(map(str, windows.holdout))}
