"""The verdict on the canary under way, from what the lake holds."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.predictions import read_paired, read_trial
from orchestration.rollout.evidence import paired_rows
from orchestration.rollout.ground_truth import labels_of
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict, judge


def judge_trial(lake: Path, trial: Trial, *, baseline: str, now: datetime) -> Verdict:
    """Judge a trial on everything that was logged since it began and has matured by the event time `now`.

    `baseline` is the Triton model of the baseline arm. Always the whole trial: a window that moved would restart the
    test with every look, and fail innocent canaries far more often than the policy says.
    """
    return judge_rows(trial_rows(lake, trial, baseline=baseline, now=now))


def judge_rows(rows: pl.DataFrame | None) -> Verdict:
    """The verdict on what `trial_rows` found."""
    if rows is None:
        return Verdict("inconclusive", "no prediction of this trial has landed yet", 0)
    return judge(
        rows["label"].to_numpy(), rows["baseline"].to_numpy(), rows["canary"].to_numpy(), shipped_policy().evidence
    )


def trial_rows(lake: Path, trial: Trial, *, baseline: str, now: datetime) -> pl.DataFrame | None:
    """The rows that `judge_trial` compares (see `paired_rows`); None where nothing of the trial has landed."""
    # Rows whose caller chose the arm are left out: who chooses, and how often, may know the answers.
    predictions = read_trial(lake, trial.since).filter(pl.col("routing") == "split")
    if predictions.is_empty():
        return None
    first, last = predictions["event_time"].min(), predictions["event_time"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    return paired_rows(
        predictions,
        read_paired(lake, first, last + timedelta(microseconds=1)),
        labels_of(lake, predictions, now),
        baseline=baseline,
        canary=trial.canary,
        now=now,
    )
