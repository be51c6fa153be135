"""Raw flights and weather as daily partitions, behind a blocking Great Expectations check."""

import dagster as dg

from orchestration.defs.common import DAILY, ONE_RUN, OWNERS, day_range
from orchestration.ingestion.ingest import ingest_flights, ingest_weather
from orchestration.ingestion.partitions import read_partitions
from orchestration.settings import Settings


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    group_name="ingestion",
    kinds={"polars", "parquet", "greatexpectations"},
    owners=OWNERS,
    check_specs=[dg.AssetCheckSpec("flights_valid", asset="raw_flights", blocking=True)],
)
def raw_flights(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Every flight that left New York, tidy and in UTC, by the day of its scheduled departure."""
    from orchestration.ingestion.expectations import validate_flights

    folder = Settings.load().lake / "raw" / "flights"
    start, end = day_range(context)
    rows = ingest_flights(folder, start, end)
    validation = validate_flights(read_partitions(folder, start, end))
    broken = [f"{v.column}: {v.rule} ({v.count} rows, such as {v.examples})" for v in validation.violations]
    return dg.MaterializeResult(
        metadata={"rows": rows, "days": (end - start).days, "folder": dg.MetadataValue.path(str(folder))},
        check_results=[
            dg.AssetCheckResult(
                check_name="flights_valid",
                passed=validation.success,
                metadata={"rows": rows, "expectations": validation.expectations, "broken": "\n".join(broken) or "none"},
            )
        ],
    )


@dg.asset(
    partitions_def=DAILY, backfill_policy=ONE_RUN, group_name="ingestion", kinds={"polars", "parquet"}, owners=OWNERS
)
def raw_weather(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Hourly weather at the three airports, by the day observed."""
    folder = Settings.load().lake / "raw" / "weather"
    start, end = day_range(context)
    rows = ingest_weather(folder, start, end)
    return dg.MaterializeResult(
        metadata={"rows": rows, "days": (end - start).days, "folder": dg.MetadataValue.path(str(folder))}
    )
