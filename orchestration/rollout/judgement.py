"""The evidence on the canary under way, from what the lake holds."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.ingestion.predictions import read_paired, read_trial
from orchestration.rollout.betting import Floats
from orchestration.rollout.evidence import Evidence
from orchestration.rollout.ground_truth import labels_of
from orchestration.rollout.latency import latency_differences
from orchestration.rollout.pairing import (
    Pair,
    brier_differences,
    failure_differences,
    labelled,
    score_shifts,
    scored_by_both,
)
from orchestration.rollout.policy import CriterionName
from orchestration.rollout.rescore import RescoreError, registered_scores
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CRITERIA
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import RolloutStore

# Of float32 vectors [n, k], the probabilities [n] by the registered baseline and by the registered canary.
# Raises RescoreError.
Registered = Callable[[NDArray[np.float32]], tuple[Floats, Floats]]


def trial_evidence(lake: Path, trial: Trial, *, baseline: str, now: datetime, registered: Registered) -> Evidence:
    """Everything that was logged of a trial since it began, by all gateways, and is known by the event time `now`.

    `baseline` is the Triton model of the baseline arm. Always the whole trial: a window that moved would restart the
    tests with every look, and fail innocent canaries far more often than the policy says. The log is read once; where a
    row landed late it takes its place.
    """
    # Rows whose caller chose the arm are left out: who chooses, and how often, may know the answers.
    predictions = read_trial(lake, trial.since).filter(pl.col("routing") == "split")
    if predictions.is_empty():
        return Evidence(absent=dict.fromkeys(CRITERIA, "no prediction of this trial has landed yet"))
    first, last = predictions["event_time"].min(), predictions["event_time"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    paired = read_paired(lake, first, last + timedelta(microseconds=1))
    labels, pair = labels_of(lake, predictions, now), Pair(baseline, trial.canary)
    return evidence_of(predictions, paired, labels, pair=pair, now=now, registered=registered)


def evidence_of(
    predictions: pl.DataFrame,
    paired: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    pair: Pair,
    now: datetime,
    registered: Registered,
) -> Evidence:
    """The evidence in the landed frames of one trial (see `pairing` and `latency` for what counts)."""
    errors, invalid_outputs = failure_differences(predictions, paired, pair)
    both = scored_by_both(predictions, paired, pair)
    known = labelled(both, labels, now)
    shifts, absent = _shifts(both, registered)
    return Evidence(
        errors=errors,
        invalid_outputs=invalid_outputs,
        score_shift=shifts,
        latency=latency_differences(predictions, pair),
        loss=brier_differences(known["label"].to_numpy(), known["baseline"].to_numpy(), known["canary"].to_numpy()),
        absent=absent,
    )


def registered_models(settings: Settings, store: RolloutStore, state: RolloutState) -> Registered:
    """The registered models of the state's arms."""

    def scores(arm: Arm, vectors: NDArray[np.float32]) -> Floats:
        contract = store.contract(arm.contract_digest)
        if contract is None:
            raise RescoreError(f"the contract of {arm.triton_model} is not in the store: publish it again")
        return registered_scores(settings, contract, vectors)

    def both(vectors: NDArray[np.float32]) -> tuple[Floats, Floats]:
        canary = state.arms.canary
        if canary is None:
            raise RescoreError("no model is on trial")
        return scores(state.arms.baseline, vectors), scores(canary, vectors)

    return both


def _shifts(both: pl.DataFrame, registered: Registered) -> tuple[Floats, dict[CriterionName, str]]:
    """The shifts of the scores, or why there are none: what was served cannot be compared with what is registered."""
    if both.is_empty():
        return np.empty(0), {}
    vectors = both["vector"].list.to_array(len(both["vector"][0])).to_numpy()
    try:
        baseline, canary = registered(vectors)
    except RescoreError as error:
        return np.empty(0), {"score_shift": f"the registered models cannot be asked: {error}"}
    return score_shifts(both, baseline, canary), {}
