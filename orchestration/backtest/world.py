"""The year's requests in event time, with what became of each and when that was known."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.training import ENTITIES, read_training
from orchestration.features.views import LATE_MIN, view_window
from orchestration.ingestion.partitions import midnight
from orchestration.training.recipe import Samples
from serving_gateway.contracts import Input
from serving_gateway.contracts.split import routing_key

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """`n` requests by scheduled departure, which is the order in which they are made and in which their labels mature.

    `rows` holds request_id, event_timestamp, sched_dep, the entities and the fields of the request; `vectors` is float32
    [n, k] in the order of `inputs`; `labels` is float64 [n] of 0 and 1.
    """

    rows: pl.DataFrame
    inputs: tuple[Input, ...]
    vectors: NDArray[np.float32]
    labels: Floats

    @cached_property
    def matures(self) -> pl.Series:
        """By when the label of each request is known, whichever it is (rollout/ground_truth.py)."""
        return self.rows["sched_dep"].dt.offset_by(f"{LATE_MIN}m")

    @classmethod
    def read(cls, training: Path, start: date, end: date, *, learned: date) -> "World":
        """The training rows of the days [start, end); the vocabularies are those of the days before `learned`.

        Raises MissingPartitionError naming missing days.
        """
        rows = read_training(training, start, end).sort("sched_dep", "request_id")
        inputs = model_inputs(vocabularies(rows.filter(pl.col("sched_dep") < midnight(learned))))
        return cls(rows, inputs, vectors(rows, inputs), rows["label"].to_numpy().astype(np.float64))

    def keys(self, rows: slice) -> list[str]:
        """What the sticky split hashes of each request."""
        asked = self.rows[rows].select(*ENTITIES, "request_id").to_dicts()
        return [routing_key(None, {name: row[name] for name in ENTITIES}, row["request_id"]) for row in asked]

    def asked_before(self, moment: datetime) -> int:
        """How many requests were made before `moment`, event time."""
        return int(self.rows["event_timestamp"].search_sorted(moment, side="left"))

    def matured_by(self, moment: datetime) -> int:
        """How many requests have a label that is known at `moment`."""
        return int(self.matures.search_sorted(moment, side="right"))

    def of_days(self, start: date, end: date) -> slice:
        """The requests for flights of the days [start, end)."""
        return slice(*(self.asked_before(moment) for moment in view_window(start, end)))

    def samples(self, start: date, end: date) -> Samples:
        """What a model learns from these days."""
        there = self.of_days(start, end)
        return Samples(self.vectors[there], self.labels[there].astype(np.int8))

    def relabelled(self, labels: Floats) -> "World":
        """The same requests with other outcomes."""
        return replace(self, labels=labels)
