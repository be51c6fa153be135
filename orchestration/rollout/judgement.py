"""The verdict on the canary under way, from what the lake holds."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.predictions import read_paired, read_trial
from orchestration.rollout.evidence import Evidence, brier_differences, paired_rows
from orchestration.rollout.ground_truth import labels_of
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CRITERIA, Verdict, judge


def judge_trial(lake: Path, trial: Trial, *, baseline: str, now: datetime) -> Verdict:
    """Judge a trial on everything that was logged since it began and has matured by the event time `now`.

    `baseline` is the Triton model of the baseline arm. Always the whole trial: a window that moved would restart the
    test with every look, and fail innocent canaries far more often than the policy says.
    """
    return judge(trial_evidence(lake, trial, baseline=baseline, now=now), shipped_policy().evidence)


def trial_evidence(lake: Path, trial: Trial, *, baseline: str, now: datetime) -> Evidence:
    """What `judge_trial` judges."""
    # Rows whose caller chose the arm are left out: who chooses, and how often, may know the answers.
    predictions = read_trial(lake, trial.since).filter(pl.col("routing") == "split")
    if predictions.is_empty():
        return Evidence(absent=dict.fromkeys(CRITERIA, "no prediction of this trial has landed yet"))
    first, last = predictions["event_time"].min(), predictions["event_time"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    rows = paired_rows(
        predictions,
        read_paired(lake, first, last + timedelta(microseconds=1)),
        labels_of(lake, predictions, now),
        baseline=baseline,
        canary=trial.canary,
        now=now,
    )
    return Evidence(
        loss=brier_differences(rows["label"].to_numpy(), rows["baseline"].to_numpy(), rows["canary"].to_numpy())
    )
