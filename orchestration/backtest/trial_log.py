"""The prediction log of a simulated trial, in the columns of the real one, and how a canary may fail in it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.backtest.world import Floats, World
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.judgement import evidence_of
from orchestration.rollout.pairing import Pair, log_odds

# Of scores by a sound model, on either arm: errors and timeouts.
USUAL_ERRORS = 0.002
# Latencies are log-normal around this median with this spread: a 90th percentile of 1.5 times the median.
LATENCY_US, LATENCY_SPREAD = 3_000, 0.3
OVERCONFIDENCE = 2.0


@dataclass(frozen=True)
class CanaryFault:
    """How a canary differs from a sound one.

    `errors` is the share of its scores that fail, `latency` its median over the baseline's, `scores` makes what its model
    says of what a sound one would.
    """

    name: str
    what: str
    errors: float = USUAL_ERRORS
    latency: float = 1.0
    scores: Callable[[Floats], Floats] = np.copy


def overconfident(scores: Floats) -> Floats:
    """Log-odds OVERCONFIDENCE times as large: the order of the rows is right, the chances are not."""
    odds: Floats = 1 / (1 + np.exp(-OVERCONFIDENCE * log_odds(scores)))
    return odds


SOUND = CanaryFault("none", "the canary is as good as the challenger")
CANARY_FAULTS = (
    CanaryFault("broken canary", "5 % of its scores end in an error", errors=0.05),
    CanaryFault("slow canary", "its median latency is 1.2 times the baseline's", latency=1.2),
    CanaryFault("mis-calibrated canary", "the log-odds that it learned are twice too large", scores=overconfident),
)


@dataclass
class TrialLog:
    """What was logged since row `first` of the world. Whatever is drawn is drawn once a row, from `random`."""

    world: World
    first: int
    pair: Pair
    fault: CanaryFault
    random: np.random.Generator
    predictions: list[pl.DataFrame] = field(default_factory=list)
    paired: list[pl.DataFrame] = field(default_factory=list)
    registered: list[Floats] = field(default_factory=list)
    canary_requests: int = 0

    def ask(self, rows: slice, baseline: Floats, sound: Floats, arms: NDArray[np.str_]) -> Floats:
        """Log the world's `rows`, the next ones; returns the scores that their callers got, float64 [n].

        Args:
            rows: n of them.
            baseline: probabilities by the baseline's model.
            sound: probabilities by the challenger's.
            arms: the arm that the split gives each row to.
        """
        placed = arms == "canary"
        canary = self.fault.scores(sound)
        failed = self.random.random(len(arms)) < self.fault.errors
        answers = np.where(placed & ~failed, canary, baseline)
        slower = np.where(placed, self.fault.latency, 1.0)
        latency = LATENCY_US * slower * np.exp(LATENCY_SPREAD * self.random.normal(size=len(arms)))
        ids = pl.Series(np.arange(rows.start, rows.stop)).cast(pl.String)
        asked = pl.DataFrame({"prediction_id": ids, "event_time": self.world.rows["event_timestamp"][rows]})
        fell_back = pl.Series(placed & failed)
        self.predictions.append(
            asked.with_columns(
                request_id=ids,
                served_at="event_time",
                arm=pl.Series(np.where(placed & failed, "baseline", arms)),
                triton_model=pl.Series(np.where(placed & ~failed, self.pair.canary, self.pair.baseline)),
                vector=self._numbers(rows),
                score=pl.Series(answers),
                latency_us=pl.Series(latency.astype(np.int64)),
                outcome=pl.lit("ok"),
                fallback_from=pl.when(fell_back).then(pl.lit("canary")),
                fallback_outcome=pl.when(fell_back).then(pl.lit("error")),
                charged=pl.lit(value=True),
                queued=pl.lit(value=False),
            )
        )
        self.paired.append(self._background(ids, baseline, canary, placed, failed))
        self.registered.append(np.stack([baseline, canary]))
        self.canary_requests += int(placed.sum())
        return answers

    def evidence(self, now: datetime) -> Evidence:
        """What production makes of the log at the event time `now`."""
        if not self.predictions:
            return Evidence()
        registered = np.concatenate(self.registered, axis=1)

        def asked_again(vectors: NDArray[np.float32]) -> tuple[Floats, Floats]:
            of = vectors[:, 0].astype(np.int64)
            return registered[0, of], registered[1, of]

        return evidence_of(
            pl.concat(self.predictions),
            pl.concat(self.paired),
            self._labels(now),
            pair=self.pair,
            now=now,
            registered=asked_again,
        )

    def _numbers(self, rows: slice) -> pl.Series:
        """Stand for the vectors: the registered models are asked by a row's number in the trial."""
        numbers = pl.Series(np.arange(rows.start, rows.stop) - self.first, dtype=pl.Float32)
        return numbers.reshape((-1, 1)).arr.to_list()

    def _background(
        self, ids: pl.Series, baseline: Floats, canary: Floats, placed: NDArray[np.bool_], failed: NDArray[np.bool_]
    ) -> pl.DataFrame:
        """The baseline in reverse where the canary was to answer, the shadow elsewhere."""
        failed = np.where(placed, self.random.random(len(baseline)) < USUAL_ERRORS, failed)
        return pl.DataFrame(
            {
                "prediction_id": ids,
                "arm": pl.Series(np.where(placed, "baseline", "shadow")),
                "triton_model": pl.Series(np.where(placed, self.pair.baseline, self.pair.canary)),
                "outcome": pl.Series(np.where(failed, "error", "ok")),
                "score": pl.Series(np.where(placed, baseline, canary)),
                "charged": pl.Series(np.ones(len(baseline), bool)),
            }
        )

    def _labels(self, now: datetime) -> pl.DataFrame:
        rows = slice(self.first, self.world.matured_by(now))
        ids = pl.Series(np.arange(rows.start, rows.stop)).cast(pl.String)
        return pl.DataFrame(
            {
                "prediction_id": ids,
                "subject": ids,
                "label": self.world.labels[rows],
                "matures_at": self.world.matures[rows],
            }
        )
