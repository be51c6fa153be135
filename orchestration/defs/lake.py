"""From the source tables to training rows: four assets by day, written by one step.

One step, because Dagster fails steps, not partitions: with a step for each asset, a refused day would stop all days of
its range. Here it stops what depends on it; the other days are materialized, and the run fails in the end.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.defs.common import DAILY, ONE_RUN, day_range
from orchestration.defs.features import feature_specs
from orchestration.defs.ingestion import check_specs, evaluations, flights_plot, raw_specs
from orchestration.features.chain import Step, refusals, walk
from orchestration.ingestion.outcome import Outcome
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
        yield from _materializations(context, settings.lake, step)
        if step.examined:
            yield from evaluations(context.instance, settings.lake, step, checks)
        done.append(step)
    if lines := refusals(done):
        shown = lines[:SHOWN_REFUSALS]
        raise dg.Failure(
            "\n".join(shown), metadata={"days that were not written": "\n".join(lines)}, allow_retries=False
        )


def _materializations(context: dg.AssetExecutionContext, lake: Path, step: Step) -> Iterator[Event]:
    """Where every day was written, one result for all of them; else the good days one by one."""
    if step.outcome is None or not step.outcome.rows:
        return
    common = _of_run(step.outcome)
    for day, metadata in _of_days(lake, step.asset, step.outcome).items():
        if step.outcome.held:
            yield dg.AssetMaterialization(step.asset, partition=day, metadata={**common, **metadata})
        else:
            context.add_asset_metadata(metadata, asset_key=step.asset, partition_key=day)
    if not step.outcome.held:
        yield dg.MaterializeResult(asset_key=step.asset, metadata=common)


def _of_run(outcome: Outcome) -> dict[str, Any]:
    rows: dict[str, Any] = {"rows in this run": sum(outcome.rows.values()), "days in this run": len(outcome.rows)}
    return rows | ({"rows by view in this run": dict(outcome.parts)} if outcome.parts else {})


def _of_days(lake: Path, asset: str, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """A day's rows; the last day, which is what the asset's page shows, carries the plot."""
    metadata: dict[str, dict[str, Any]] = {d.isoformat(): {"dagster/row_count": n} for d, n in outcome.rows.items()}
    if asset == "raw_flights":
        written = sorted(outcome.rows)
        metadata[written[-1].isoformat()]["flights by day"] = flights_plot(lake / "raw" / "flights", written)
    return metadata
