"""A window of the prediction log scored again by a registered version, beside what was served, and with its labels."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.ingestion.predictions import read_paired, scan_predictions
from orchestration.rollout.ground_truth import labels_of
from orchestration.rollout.rescore import registered_scores
from orchestration.settings import Settings
from orchestration.training.contract import triton_name
from serving_gateway.contracts import ModelContract

Scored = Callable[[ModelContract, NDArray[np.float32]], NDArray[np.float64]]
_LOGGED = (
    "prediction_id", "request_id", "event_time", "arm", "model_version", "triton_model", "contract_digest", "vector",
    "decision", "outcome", pl.col("score").alias("served"),
)  # fmt: skip


class NothingToReplayError(Exception):
    """No row of the window can be scored; the message says why."""


@dataclass(frozen=True)
class ReplayedLog:
    """Rows of a window in order of event time, and how many were left out, by reason.

    `rows`: prediction_id, request_id, event_time, arm, model_version, triton_model, served (probability), `score` (the
    version's), `reference` (what it is compared with: what was served, or the other version's score), decision and
    reference_decision (booleans), subject, label (0 or 1) and matures_at, null where no label is known.
    `own`: prediction_id, logged, score: what the version itself was logged to have said, as an answer or in the background.
    """

    contract: ModelContract
    against: ModelContract | None
    rows: pl.DataFrame
    own: pl.DataFrame
    left_out: dict[str, int]


def replayed(
    settings: Settings,
    version: ModelContract,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    contract_of: Callable[[str], ModelContract | None],
    against: ModelContract | None = None,
    scored: Scored | None = None,
) -> ReplayedLog:
    """Score what was asked in [start, end) of event time by `version`.

    Args:
        settings: the lake, MLflow and the kept artifacts.
        version: the contract of a registered version.
        start: event time.
        end: event time, exclusive.
        now: event time; labels that mature later are not known.
        contract_of: a logged row's contract by its digest; None where it is not known any more.
        against: another version to compare with; None compares with what was served.
        scored: scores of vectors by a contract's model; `registered_scores` where it is not given.

    Raises:
        NothingToReplayError: nothing was logged, or none of it with the version's inputs.
        RescoreError: a version cannot score.
    """
    score = scored or (lambda contract, vectors: registered_scores(settings, contract, vectors))
    logged = scan_predictions(settings.lake, start, end).select(_LOGGED).unique("prediction_id").collect()
    fitting, left_out = _fitting(logged, version, contract_of)
    if fitting.is_empty():
        why = ", ".join(f"{count} of {reason}" for reason, count in left_out.items()) or "nothing was logged"
        raise NothingToReplayError(
            f"no prediction from {start:%F %H:%M} to {end:%F %H:%M} (UTC) fits {triton_name(version)}: {why}; "
            "the job land_predictions brings what waits"
        )
    rows = _scored(fitting.sort("event_time", "prediction_id"), version, against, score)
    labels = labels_of(settings.lake, rows, now).filter(pl.col("matures_at") <= now)
    labelled = rows.join(labels, on="prediction_id", how="left", maintain_order="left")
    return ReplayedLog(version, against, labelled, _own(settings, rows, version, start, end), left_out)


def trained_on(contract: ModelContract) -> pl.Expr:
    """Whether a row's event time lies in the contract's training window: its label says nothing of the model there."""
    first, last = (datetime.fromisoformat(text) for text in (contract.training_start, contract.training_end))
    return pl.col("event_time").is_between(first, last, closed="left")


def _fitting(
    logged: pl.DataFrame, version: ModelContract, contract_of: Callable[[str], ModelContract | None]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows whose vectors are the version's inputs and whose answer is one, and how many are not, by reason."""
    fits, unknown = {version.digest}, set()
    for digest in set(logged["contract_digest"].unique()) - fits:
        contract = contract_of(digest)
        if contract is None:
            unknown.add(digest)
        elif contract.signature == version.signature:
            fits.add(digest)
    answered = (pl.col("outcome") == "ok") & pl.col("served").is_between(0, 1)
    has_width = pl.col("vector").list.len() == len(version.inputs)
    told = logged.with_columns(
        reason=pl.when(pl.col("contract_digest").is_in(list(unknown)))
        .then(pl.lit("a contract that is not known any more"))
        .when(~pl.col("contract_digest").is_in(list(fits)) | ~has_width)
        .then(pl.lit("other inputs than the version's"))
        .when(~answered)
        .then(pl.lit("no probability as the answer"))
    )
    counted = told.drop_nulls("reason").group_by("reason").len().sort("reason")
    return told.filter(pl.col("reason").is_null()).drop("reason"), dict(counted.iter_rows())


def _scored(rows: pl.DataFrame, version: ModelContract, against: ModelContract | None, score: Scored) -> pl.DataFrame:
    vectors = rows["vector"].list.to_array(len(version.inputs)).to_numpy()
    rows = rows.drop("vector", "contract_digest", "outcome").with_columns(
        score=score(version, vectors), reference="served", reference_decision="decision"
    )
    if against is not None:
        rows = rows.with_columns(reference=score(against, vectors)).with_columns(
            reference_decision=pl.col("reference") >= against.decision_threshold
        )
    return rows.with_columns(decision=pl.col("score") >= version.decision_threshold)


def _own(
    settings: Settings, rows: pl.DataFrame, version: ModelContract, start: datetime, end: datetime
) -> pl.DataFrame:
    """What was logged as this version's score of these rows: its answers, and its scores in the background."""
    name = triton_name(version)
    answers = rows.filter(pl.col("triton_model") == name).select("prediction_id", logged="served")
    paired = read_paired(settings.lake, start, end + timedelta(microseconds=1))
    background = paired.filter(pl.col("triton_model") == name, pl.col("outcome") == "ok")
    logged = pl.concat([answers, background.select("prediction_id", logged="score")])
    return logged.join(rows.select("prediction_id", "score"), on="prediction_id")
