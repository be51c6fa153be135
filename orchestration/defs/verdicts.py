"""Reading a failed verdict back from Dagster's event log, for the hook and the sensor alike."""

from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

CANARY_CHECK = dg.AssetCheckKey(dg.AssetKey("canary_verdict"), "canary_is_no_worse")


@dataclass(frozen=True)
class FailedVerdict:
    """A failed check: the run that found it, the Triton model it convicts, and why."""

    run_id: str
    canary: str
    reason: str


def failed_verdict(instance: dg.DagsterInstance) -> FailedVerdict | None:
    """The last evaluation of the canary check if its outcome is `fail`; None otherwise."""
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key([CANARY_CHECK])
    record = records.get(CANARY_CHECK)
    if record is None or record.status != AssetCheckExecutionRecordStatus.FAILED or record.event is None:
        return None
    event = record.event.dagster_event
    if event is None:
        return None
    metadata = {label: value.value for label, value in event.asset_check_evaluation_data.metadata.items()}
    if metadata["outcome"] != "fail":
        return None
    return FailedVerdict(record.run_id, str(metadata["canary"]), str(metadata["reason"]))
