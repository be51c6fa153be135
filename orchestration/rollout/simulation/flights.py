"""The real stream: flights of 2013 in the order of their requests, with a real model's scores and their real labels."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.backtest.lake import complete, make_lake
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.training import read_training
from orchestration.rollout.betting import Floats
from orchestration.rollout.pairing import log_odds
from orchestration.training.lightgbm_recipe import ROUNDS, train
from orchestration.training.recipe import window

FIRST, TRAINED, LAST = date(2013, 1, 1), date(2013, 4, 1), date(2013, 12, 31)


@dataclass(frozen=True)
class Flights:
    """n requests in order: the log-odds of a model, the label (0 or 1), and the routing key as an index into `keys`."""

    log_odds: Floats
    labels: Floats
    key: NDArray[np.int64]
    keys: tuple[str, ...]


def read_flights(
    lake: Path, *, source: Path | None = None, learned: date = TRAINED, last: date = LAST, rounds: int = ROUNDS
) -> Flights:
    """Flights of [learned, last) with the scores of a model that learned from what was before; the key is the tailnum.

    Training rows that the lake lacks are made from the source tables first.

    Raises:
        SourceError: the source tables are not there.
    """
    if not complete(lake, FIRST, last):
        make_lake(lake, source, FIRST, last)
    rows = read_training(lake / "training", FIRST, last).sort("event_timestamp", "request_id")
    inputs = model_inputs(vocabularies(rows))
    end = datetime(learned.year, learned.month, learned.day, tzinfo=UTC)
    begin = datetime(FIRST.year - 1, 12, 31, tzinfo=UTC)  # a flight of the first hour is asked for on the day before
    booster = train(window(rows, inputs, start=begin, end=end), inputs, rounds=rounds)
    later = rows.filter(pl.col("event_timestamp") >= end)
    keys, index = np.unique(later["tailnum"].to_numpy().astype(str), return_inverse=True)
    return Flights(
        log_odds=log_odds(np.asarray(booster.predict(vectors(later, inputs), num_threads=1), np.float64)),
        labels=later["label"].to_numpy().astype(np.float64),
        key=index.astype(np.int64),
        keys=tuple(keys.tolist()),
    )


def sigmoid(log_odds: Floats) -> Floats:
    """Probabilities of log-odds."""
    found: Floats = 1 / (1 + np.exp(-log_odds))
    return found


def auc(labels: Floats, scores: Floats) -> float:
    """Area under the ROC curve of continuous scores: the chance that a 1 is above a 0 (Mann and Whitney's U)."""
    order = np.argsort(scores)
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    positives = labels.sum()
    u = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(u / (positives * (len(labels) - positives)))


def weaker(flights: Flights, auc_lost: float, rng: np.random.Generator) -> Floats:
    """Log-odds, shape [n], of a model whose AUC on these flights is lower by `auc_lost`, and which is calibrated on them.

    Noise on the log-odds, as much as it takes, then a logistic recalibration: it discriminates less, and that is all.
    """
    noise, goal = rng.normal(size=len(flights.labels)), auc(flights.labels, flights.log_odds) - auc_lost
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        enough = auc(flights.labels, flights.log_odds + middle * noise) <= goal
        low, high = (low, middle) if enough else (middle, high)
    return recalibrated(flights.log_odds + high * noise, flights.labels)


def recalibrated(x: Floats, labels: Floats) -> Floats:
    """The logistic regression of the labels on x, in log-odds (Platt scaling), by Newton's method."""
    design = np.stack([x, np.ones_like(x)])
    coefficients = np.array([1.0, 0.0])
    for _ in range(10):
        p = sigmoid(coefficients @ design)
        curvature = (design * (p * (1 - p))) @ design.T
        coefficients += np.linalg.solve(curvature, design @ (labels - p))
    found: Floats = coefficients @ design
    return found
