"""Verdicts as Dagster's event log holds them: written by the asset, read by the hook and the sensor alike."""

import math
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.rollout.trial import Trial
from orchestration.rollout.verdict import Verdict

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
    """What an evaluation says of the trial; `failed_verdicts` reads it back."""
    difference = {} if math.isnan(verdict.brier_difference) else {"Brier difference": verdict.brier_difference}
    return {
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "canary": trial.canary if trial else "none",
        "epoch": str(trial.epoch if trial else 0),  # text: the UI plots numbers
        "generation": str(trial.generation if trial else 0),
        "rows": verdict.rows,
        "evidence that it is worse": verdict.e_fail,
        "evidence that it is not": verdict.e_pass,
        **difference,
    }


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
    except (KeyError, TypeError, ValueError):  # not as `verdict_metadata` writes it: somebody else's report
        return None


def _read_back(run_id: str, metadata: dict[str, Any]) -> FailedVerdict:
    trial = Trial(str(metadata["canary"]), int(metadata["epoch"]), int(metadata["generation"]))
    verdict = Verdict(
        outcome="fail",
        reason=str(metadata["reason"]),
        rows=int(metadata["rows"]),
        brier_difference=float(metadata["Brier difference"]),
        e_fail=float(metadata["evidence that it is worse"]),
        e_pass=float(metadata["evidence that it is not"]),
    )
    return FailedVerdict(run_id, trial, verdict)
