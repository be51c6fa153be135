"""The seam of recipes: what a recipe is given, and what it gives back. `recipes.py` lists them by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.inputs import vectors
from serving_gateway.contracts import Input


class TrainingDataError(Exception):
    """The rows cannot train or judge a model; the message says why."""


@dataclass(frozen=True)
class Samples:
    """Rows of one time window: `vectors` float32 [n, k] in the contract's order, `labels` int8 [n] of 0 and 1."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int8]

    def followed_by(self, later: "Samples") -> "Samples":
        """These rows and the later ones."""
        return Samples(np.concatenate([self.vectors, later.vectors]), np.concatenate([self.labels, later.labels]))


@dataclass(frozen=True)
class Fitted:
    """A trained model as ONNX: FP32 `features` [n, k] in, FP32 `score` [n, 1] = P(label = 1) out.

    `scores`, float64 [n], are the trainer's own of the samples it saw, before any export; `parameters` are what MLflow
    shall keep of how it was trained. `trees` are the same trees as LightGBM's text, of a recipe that makes trees: on a GPU
    Triton serves them in the graph's place.
    """

    onnx: bytes
    scores: NDArray[np.float64]
    parameters: Mapping[str, Any]
    trees: str | None = None


Recipe = Callable[[Samples, Sequence[Input]], Fitted]


def window(rows: pl.DataFrame, inputs: Sequence[Input], *, start: datetime, end: datetime) -> Samples:
    """The rows whose `event_timestamp` lies in [start, end) as model inputs and labels.

    Raises:
        TrainingDataError: the window is empty or holds only one label.
    """
    found = rows.filter(pl.col("event_timestamp").is_between(start, end, closed="left"))
    labels = found["label"].to_numpy().astype(np.int8)
    if len(set(labels.tolist())) < 2:
        raise TrainingDataError(
            f"{len(labels)} rows from {start:%F %R} to {end:%F %R} hold fewer than two labels: "
            "materialize more days of training rows"
        )
    return Samples(vectors(found, inputs), labels)
