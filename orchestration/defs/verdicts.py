"""Failed verdicts as Dagster's event log holds them, for the hook and the sensor alike."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

from orchestration.rollout.judgement import Trial

CANARY_CHECK = dg.AssetCheckKey(dg.AssetKey("canary_verdict"), "canary_is_no_worse")
# Runs of the verdict that may be queued or under way beside the one that failed.
LOOK_BACK = 50


@dataclass(frozen=True)
class FailedVerdict:
    """A failed check: the run that found it, the trial it convicts, and why."""

    run_id: str
    trial: Trial
    reason: str


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
    if metadata["outcome"] != "fail":
        return None
    trial = Trial(str(metadata["canary"]), int(metadata["epoch"]), int(metadata["generation"]))
    return FailedVerdict(record.run_id, trial, str(metadata["reason"]))
