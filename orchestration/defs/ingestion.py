"""Raw flights and weather by day, and the Great Expectations checks on them. `lake` holds the step that writes them."""

import warnings
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.defs.common import DAILY, OWNERS, table_schema
from orchestration.defs.targets import latest_materializations
from orchestration.features.chain import Step
from orchestration.ingestion.columns import FLIGHTS, WEATHER
from orchestration.ingestion.expectations.suite import Violation
from orchestration.ingestion.ingest import Examined
from orchestration.ingestion.partitions import partition_path
from orchestration.ingestion.quarantine import quarantine_folder

FLIGHTS_VALID = dg.AssetCheckKey(dg.AssetKey("raw_flights"), "flights_valid")
WEATHER_VALID = dg.AssetCheckKey(dg.AssetKey("raw_weather"), "weather_valid")
AIRPORTS_VALID = dg.AssetCheckKey(dg.AssetKey("raw_flights"), "airports_valid")
FLIGHTS_SOURCE_VALID = dg.AssetCheckKey(dg.AssetKey("raw_flights"), "flights_source_valid")
WEATHER_SOURCE_VALID = dg.AssetCheckKey(dg.AssetKey("raw_weather"), "weather_source_valid")
BY_DAY = {"raw_flights": FLIGHTS_VALID, "raw_weather": WEATHER_VALID}
Evaluations = Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult | dg.Output]


def raw_specs() -> list[dg.AssetSpec]:
    """The raw assets."""
    common: dict[str, Any] = {
        "group_name": "ingestion",
        "kinds": {"polars", "parquet", "greatexpectations"},
        "tags": {"layer": "raw"},
        "owners": OWNERS,
        "skippable": True,
    }
    return [
        dg.AssetSpec(
            "raw_flights",
            description="Every flight that left New York, tidy and in UTC, by the day of its scheduled departure.",
            metadata={"dagster/column_schema": table_schema(FLIGHTS)},
            **common,
        ),
        dg.AssetSpec(
            "raw_weather",
            description="Hourly weather at the three airports, by the day observed.",
            metadata={"dagster/column_schema": table_schema(WEATHER)},
            **common,
        ),
    ]


def flights_plot(folder: Path, days: list[date]) -> dg.MarkdownMetadataValue:
    """Flights a day, late and cancelled ones among them."""
    from orchestration.ingestion.plot import flights_by_day
    from orchestration.plots import figure_markdown

    return dg.MetadataValue.md(figure_markdown(flights_by_day(folder, days)))


def check_specs() -> list[dg.AssetCheckSpec]:
    """One blocking check a source; those of flights and weather are evaluated day by day.

    What concerns a source table as a whole has its own check, which stops no day.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # checks by partition
        return [
            dg.AssetCheckSpec(
                FLIGHTS_VALID.name,
                asset=FLIGHTS_VALID.asset_key,
                blocking=True,
                partitions_def=DAILY,
                description="Nulls, ranges, values, duplicates, and rows by airport and against recent days.",
            ),
            dg.AssetCheckSpec(
                WEATHER_VALID.name,
                asset=WEATHER_VALID.asset_key,
                blocking=True,
                partitions_def=DAILY,
                description="Nulls, ranges, values, hours that increase, and rows by airport and against recent days.",
            ),
            dg.AssetCheckSpec(
                AIRPORTS_VALID.name,
                asset=AIRPORTS_VALID.asset_key,
                blocking=True,
                description="The airports table, which gives every flight its destination's time zone.",
            ),
            dg.AssetCheckSpec(
                FLIGHTS_SOURCE_VALID.name,
                asset=FLIGHTS_SOURCE_VALID.asset_key,
                description="The published columns of flights.csv and airports.csv, no others, and a day in every row.",
            ),
            dg.AssetCheckSpec(
                WEATHER_SOURCE_VALID.name,
                asset=WEATHER_SOURCE_VALID.asset_key,
                description="The published columns of weather.csv, no others, and a day in every row.",
            ),
        ]


def evaluations(
    instance: dg.DagsterInstance, lake: Path, step: Step, selected: Collection[dg.AssetCheckKey]
) -> Evaluations:
    """The selected checks of a raw asset, day by day; failed days come last, so that they are what the graph shows."""
    examined = step.examined
    if examined is None:
        return
    by_day = BY_DAY[step.asset]
    if by_day in selected:
        yield from _by_day(instance, lake, examined, by_day)
    for name, violations in examined.tables.items():
        if dg.AssetCheckKey(by_day.asset_key, name) in selected:
            yield dg.AssetCheckResult(
                asset_key=by_day.asset_key, check_name=name, passed=not violations, metadata=_broken(violations)
            )


def _by_day(instance: dg.DagsterInstance, lake: Path, examined: Examined, key: dg.AssetCheckKey) -> Evaluations:
    verdict = examined.verdict
    targets = latest_materializations(instance, key.asset_key, [day.isoformat() for day in verdict.rows])
    for day in sorted(verdict.rows, key=lambda day: (day in verdict.violations, day)):
        violations = verdict.violations.get(day, ())
        metadata = {"rows": verdict.rows[day], "expectations": verdict.expectations, **_broken(violations)}
        if violations:
            evidence = partition_path(quarantine_folder(lake, examined.source), day)
            metadata |= {"day": day.isoformat(), "refused rows": dg.MetadataValue.path(str(evidence))}
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not violations,
            blocking=True,
            partition=day.isoformat(),
            target_materialization_data=targets.get(day.isoformat()),
            description="; ".join(map(str, violations)) or None,
            metadata=metadata,
        )
    if verdict.success:
        yield dg.Output(None, f"{key.asset_key.to_python_identifier()}_{key.name}")


def _broken(violations: Collection[Violation]) -> Mapping[str, Any]:
    if not violations:
        return {"broken": "none"}
    records = [
        dg.TableRecord({"column": v.column, "rule": v.rule, "rows": v.count, "examples": "; ".join(v.examples)})
        for v in violations
    ]
    return {"broken": "\n".join(map(str, violations)), "violations": dg.MetadataValue.table(records)}
