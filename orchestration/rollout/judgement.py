"""The verdict on the canary under way, from what the lake holds."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from orchestration.ingestion.partitions import days, partition_path
from orchestration.ingestion.predictions import read_paired, read_predictions
from orchestration.rollout.evidence import paired_rows
from orchestration.rollout.policy import POLICY
from orchestration.rollout.verdict import Verdict, judge
from serving_gateway.contracts.rollout import RolloutState


def judge_canary(
    lake: Path, state: RolloutState | None, *, since: datetime, now: datetime
) -> tuple[str | None, Verdict]:
    """Judge the state's canary on the predictions of event times [since, now].

    Returns the canary's Triton model and the verdict; (None, inconclusive) when no canary has traffic.
    """
    canary = state.arms.canary if state and state.canary_weight_bp else None
    if state is None or canary is None:
        return None, Verdict("inconclusive", "no canary has traffic", 0)
    end = now + timedelta(microseconds=1)
    predictions = read_predictions(lake, since, end).filter(
        (pl.col("epoch") == state.epoch) & (pl.col("generation") == state.generation)
    )
    rows = paired_rows(
        predictions,
        read_paired(lake, since, end),
        _labels(lake / "training", since, now),
        baseline=state.arms.baseline.triton_model,
        canary=canary.triton_model,
        now=now,
    )
    verdict = judge(rows["label"].to_numpy(), rows["baseline"].to_numpy(), rows["canary"].to_numpy(), POLICY)
    return canary.triton_model, verdict


def _labels(training: Path, since: datetime, now: datetime) -> pl.DataFrame:
    """Outcomes of the flights whose requests fall into the range, from the days that have been ingested."""
    # a request is made on the day of its flight or the one before
    wanted = days(since.date(), now.date() + timedelta(days=2))
    paths = [path for day in wanted if (path := partition_path(training, day)).exists()]
    columns = {"request_id": pl.String(), "label": pl.Int8(), "label_known_at": pl.Datetime("us", "UTC")}
    frames = [pl.read_parquet(path, columns=list(columns), hive_partitioning=False) for path in paths]
    return pl.concat(frames) if frames else pl.DataFrame(schema=columns)
