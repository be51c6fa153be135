"""Judging a model on days it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestration.features.training import read_training
from orchestration.features.views import view_window
from orchestration.training.evaluation import Metrics, evaluate
from orchestration.training.gates import GateResult, Gates, judge_metrics
from orchestration.training.onnx_model import score
from orchestration.training.recipe import Samples, window
from serving_gateway.contracts import Input

Days = tuple[date, date]


@dataclass(frozen=True)
class Holdout:
    """A model's scores, float32 [n], of the hold-out's samples, the metrics they make, and what the gates say."""

    samples: Samples
    scores: NDArray[np.float32]
    metrics: Metrics
    gates: GateResult


def read_samples(training: Path, inputs: Sequence[Input], days: Days) -> Samples:
    """The training rows of the days [first, end) by `sched_dep`, as model inputs and labels.

    Raises MissingPartitionError naming missing days, TrainingDataError when they hold fewer than two labels.
    """
    first, last = view_window(*days)
    return window(read_training(training, *days), inputs, start=first, end=last)


def judge_on(onnx: bytes, samples: Samples, gates: Gates) -> Holdout:
    """Score the samples as Triton will and judge them."""
    scores = score(onnx, samples.vectors)
    metrics = evaluate(samples.labels.astype(np.int64), scores)
    return Holdout(samples, scores, metrics, judge_metrics(metrics, gates))
