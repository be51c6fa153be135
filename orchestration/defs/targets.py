"""Which materialization a day's check is about: without it, the UI takes the check for out of date."""

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData


def latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The latest materialization of each of the partitions that has one.

    As a rule all of them were written in the run that asks, so the latest events are theirs; others are asked for.
    """
    found = _latest(instance, asset, partitions, limit=len(partitions))
    for partition in partitions:
        if partition not in found:
            found |= _latest(instance, asset, [partition], limit=1)
    return found


def _latest(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[str], *, limit: int
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=list(partitions))
    records = instance.fetch_materializations(wanted, limit=limit).records
    return {
        str(record.partition_key): AssetCheckEvaluationTargetMaterializationData(
            run_id=record.run_id, storage_id=record.storage_id, timestamp=record.timestamp
        )
        for record in reversed(records)
    }
