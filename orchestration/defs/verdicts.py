"""Verdicts as Dagster's event log holds them: written by the asset, read by the hook and the sensor alike."""

import math
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import dagster as dg
import msgspec
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.rollout.decide import Judged
from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import CriterionResult, Verdict
from serving_gateway.contracts.rollout import RolloutState

CANARY_CHECK = dg.AssetCheckKey(dg.AssetKey("canary_verdict"), "canary_is_no_worse")
# Runs of the verdict that may be queued or under way beside the one that failed.
LOOK_BACK = 50


_NOT_OURS = (KeyError, TypeError, ValueError, msgspec.ValidationError)  # somebody else's report


@dataclass(frozen=True)
class FailedVerdict:
    """A failed check: the run that found it, the trial it convicts, and what was found.

    `judged` says on what; None where the report does not tell.
    """

    run_id: str
    trial: Trial
    verdict: Verdict
    judged: Judged | None = None

    @property
    def reason(self) -> str:
        """The verdict in words."""
        return self.verdict.reason


def judged_on(state: RolloutState, event_time: datetime) -> dict[str, Any]:
    """What an evaluation says of the state and the time that it judged; `judged_in` reads it back."""
    return {
        "baseline": state.arms.baseline.triton_model,
        "judged state": "{}:{}".format(*state.position),
        "event time": event_time.isoformat(),
    }


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


def judged_in(instance: dg.DagsterInstance, run_id: str) -> Judged | None:
    """What the verdict of this run was found on; None where it found no model on trial."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        CANARY_CHECK,
        limit=LOOK_BACK,
        status={AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED},
    )
    found = next((_metadata(record) for record in records if record.run_id == run_id), {})
    return _judged(found)


def _verdict(record: AssetCheckExecutionRecord) -> FailedVerdict | None:
    metadata = _metadata(record)
    if metadata.get("outcome") != "fail":
        return None
    try:
        return FailedVerdict(record.run_id, _trial(metadata), _read_back(metadata), _judged(metadata))
    except _NOT_OURS:
        return None


def _metadata(record: AssetCheckExecutionRecord) -> dict[str, Any]:
    if record.event is None or record.event.dagster_event is None:
        return {}
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    return {label: value.value for label, value in evaluation.metadata.items()}


def _judged(metadata: dict[str, Any]) -> Judged | None:
    try:
        epoch, generation = str(metadata["judged state"]).split(":")
        at = datetime.fromisoformat(str(metadata["event time"]))
        position = (int(epoch), int(generation))
        return Judged(_trial(metadata), position, str(metadata["baseline"]), at, _read_back(metadata))
    except _NOT_OURS:
        return None


def _trial(metadata: dict[str, Any]) -> Trial:
    return Trial(str(metadata["canary"]), int(metadata["epoch"]), int(metadata["generation"]))


def _read_back(metadata: dict[str, Any]) -> Verdict:
    criteria = tuple(_result(written) for written in metadata["criteria"])
    return Verdict(metadata["outcome"], str(metadata["reason"]), criteria)
