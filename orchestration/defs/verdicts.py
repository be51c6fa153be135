"""Verdicts as Dagster's event log holds them: written by the asset, read by the hook and the sensor alike."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import dagster as dg
import msgspec
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CriterionResult, Verdict

CANARY_CHECK = dg.AssetCheckKey(dg.AssetKey("canary_verdict"), "canary_is_no_worse")
# Runs of the verdict that may be queued or under way beside the one that failed.
LOOK_BACK = 50


@dataclass(frozen=True)
class FailedVerdict:
    """A failed check: the run that found it, the trial it convicts, and what was found."""

    run_id: str
    trial: Trial
    verdict: Verdict

    @property
    def reason(self) -> str:
        """The verdict in words."""
        return self.verdict.reason


def verdict_metadata(trial: Trial | None, verdict: Verdict) -> dict[str, Any]:
    """What an evaluation says of the trial; `failed_verdicts` reads it back.

    `rows` and the evidence by themselves are those of the loss, which decides a pass; the UI plots them.
    """
    loss = verdict.criterion("loss") if verdict.criteria else CriterionResult("loss", "inconclusive", verdict.reason)
    difference = {} if math.isnan(loss.difference) else {"Brier difference": loss.difference}
    return {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "canary": trial.canary if trial else "none",
        "epoch": str(trial.epoch if trial else 0),  # text: the UI plots numbers
        "generation": str(trial.generation if trial else 0),
        "rows": loss.rows,
        "evidence that it is worse": loss.e_fail,
        "evidence that it is not": loss.e_pass,
        **difference,
        "tests": dg.MetadataValue.md(_table(verdict)),
        "criteria": dg.MetadataValue.json([_written(result) for result in verdict.criteria]),
    }


def _table(verdict: Verdict) -> str:
    lines = [f"| {result.name} | {result.outcome} | {result.rows} | {result.reason} |" for result in verdict.criteria]
    return "\n".join(["| test | outcome | rows | reason |", "|---|---|---|---|", *lines])


def _written(result: CriterionResult) -> dict[str, Any]:
    """JSON knows no NaN: a difference of no rows is null."""
    return asdict(result) | ({"difference": None} if math.isnan(result.difference) else {})


def _result(written: dict[str, Any]) -> CriterionResult:
    result = msgspec.convert(written | {"difference": written["difference"] or 0.0}, CriterionResult)
    return replace(result, difference=math.nan) if written["difference"] is None else result


def failed_verdicts(instance: dg.DagsterInstance) -> list[FailedVerdict]:
    """Latest first: evaluations of the canary check whose outcome is `fail`; one of `error` needs a person instead."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        CANARY_CHECK, limit=LOOK_BACK, status={AssetCheckExecutionRecordStatus.FAILED}
    )
    return [verdict for record in records if (verdict := _verdict(record)) is not None]


def _verdict(record: AssetCheckExecutionRecord) -> FailedVerdict | None:
    if record.event is None or record.event.dagster_event is None:
        return None
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    metadata: dict[str, Any] = {label: value.value for label, value in evaluation.metadata.items()}
    if metadata.get("outcome") != "fail":
        return None
    try:
        return _read_back(record.run_id, metadata)
    except (
        KeyError,
        TypeError,
        ValueError,
        msgspec.ValidationError,
    ):  # not as `verdict_metadata` writes it: somebody else's report
        return None


def _read_back(run_id: str, metadata: dict[str, Any]) -> FailedVerdict:
    trial = Trial(str(metadata["canary"]), int(metadata["epoch"]), int(metadata["generation"]))
    criteria = tuple(_result(written) for written in metadata["criteria"])
    return FailedVerdict(run_id, trial, Verdict("fail", str(metadata["reason"]), criteria))
