"""From the source tables to training rows: four assets by day, written by one step.

One step, because Dagster fails steps, not partitions: with a step for each asset, a refused day would stop all days of
its range. Here it stops what depends on it; the other days are materialized, and the run fails in the end.
"""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.common import DAILY, ONE_RUN, day_range
from orchestration.defs.features import feature_specs
from orchestration.defs.ingestion import check_specs, evaluations, raw_specs
from orchestration.features.chain import Step, refusals, walk
from orchestration.settings import Settings

SHOWN_REFUSALS = 30
Event = dg.MaterializeResult | dg.AssetMaterialization | dg.AssetCheckEvaluation | dg.AssetCheckResult | dg.Output


@dg.multi_asset(
    specs=[*raw_specs(), *feature_specs()],
    check_specs=check_specs(),
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    can_subset=True,
)
def flights_to_training_rows(context: dg.AssetExecutionContext) -> Iterator[Event]:
    """Walk the days of the run through the selected assets."""
    settings = Settings.load()
    chosen = {key.to_user_string() for key in context.selected_asset_keys}
    checks = context.selected_asset_check_keys
    steps = walk(
        settings.lake,
        *day_range(context),
        write=chosen,
        examine={key.asset_key.to_user_string() for key in checks},
        source=settings.flights_source,
    )
    done: list[Step] = []
    for step in steps:
        yield from _materializations(context, step)
        if step.examined:
            yield from evaluations(settings.lake, step, checks)
        done.append(step)
    if lines := refusals(done):
        shown = lines[:SHOWN_REFUSALS]
        raise dg.Failure(
            "\n".join(shown), metadata={"days that were not written": "\n".join(lines)}, allow_retries=False
        )


def _materializations(context: dg.AssetExecutionContext, step: Step) -> Iterator[Event]:
    """Where every day was written, one result for all of them; else the good days one by one."""
    if step.outcome is None or not step.outcome.rows:
        return
    total = {"rows in this run": sum(step.outcome.rows.values()), "days in this run": len(step.outcome.rows)}
    for day, rows in step.outcome.rows.items():
        metadata = {"dagster/row_count": rows}
        if step.outcome.held:
            yield dg.AssetMaterialization(step.asset, partition=day.isoformat(), metadata={**metadata, **total})
        else:
            context.add_asset_metadata(metadata, asset_key=step.asset, partition_key=day.isoformat())
    if not step.outcome.held:
        yield dg.MaterializeResult(asset_key=step.asset, metadata=total)
