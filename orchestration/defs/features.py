"""Feature views and training rows, and their materialization to the online store. `lake` holds the step of the first."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS, parse_days, table_schema
from orchestration.features.breaking import Breach, breaches
from orchestration.features.chain import days_of
from orchestration.features.columns import training_columns, view_table
from orchestration.features.held import BEGIN_DAYS
from orchestration.features.views import FEATURE_SERVICE, view_window
from orchestration.ingestion.partitions import days
from orchestration.settings import ROOT, Settings
from serving_gateway.control.store import RolloutStore

FEATURE_REPO = ROOT / "feature_repo"
CONTRACTS_CHECK = "served_contracts_hold"


feature_views = dg.AssetKey("feature_views")
training_rows = dg.AssetKey("training_rows")


def feature_specs() -> list[dg.AssetSpec]:
    """Features and training rows by day."""
    common: dict[str, Any] = {
        "group_name": "features",
        "tags": {"layer": "features"},
        "owners": OWNERS,
        "skippable": True,
    }
    return [
        dg.AssetSpec(
            feature_views,
            deps=["raw_flights", "raw_weather"],
            description="Feast's offline store: nine feature views, every row stamped with the instant its values are known.",
            metadata={"views": dg.MetadataValue.md(view_table())},
            kinds={"polars", "parquet", "feast"},
            **common,
        ),
        dg.AssetSpec(
            training_rows,
            deps=["raw_flights", feature_views],
            description="One row a flight: its label and the 26 features as they stood 60 minutes before its scheduled departure.",
            metadata={"dagster/column_schema": table_schema(training_columns())},
            kinds={"polars", "parquet"},
            **common,
        ),
    ]


class RegistryConfig(dg.Config):
    """What may break."""

    accept_breaking: list[str] = Field(
        default=[],
        description="Served models that these definitions may break, each as `model:version`, as the failed check "
        "served_contracts_hold names them. They go on reading what is no longer kept up to date: replace them soon.",
    )


@dg.asset(
    group_name="features",
    kinds={"feast"},
    tags={"layer": "features"},
    owners=OWNERS,
    check_specs=[
        dg.AssetCheckSpec(
            CONTRACTS_CHECK,
            asset="feature_registry",
            blocking=True,
            description="The definitions keep what every served model reads: views, join keys, TTLs, features, types, keys. "
            "Else nothing is applied.",
        )
    ],
)
def feature_registry(
    context: dg.AssetExecutionContext, config: RegistryConfig
) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Feast's registry by `feast apply`, and the Redis layout that the model contracts carry.

    The way to apply definitions: before anything is changed, they are held against the contracts of the served models.
    """
    from orchestration.features.layout import view_layouts, write_layouts
    from orchestration.features.store import apply

    settings = Settings.load()
    check = _held_against_served(settings, frozenset(config.accept_breaking))
    yield check
    if not check.passed:
        raise dg.Failure(check.description, allow_retries=False)
    if check.severity == dg.AssetCheckSeverity.WARN:
        context.log.warning(check.description)
    store = apply(FEATURE_REPO, settings.home, settings.features_redis_url, settings.feast_registry)
    layouts = view_layouts(store)
    write_layouts(settings.feature_layout, layouts)
    yield dg.MaterializeResult(
        metadata={"views": len(layouts), "features": sum(len(layout.features) for layout in layouts)}
    )


def _held_against_served(settings: Settings, accepted: Collection[str]) -> dg.AssetCheckResult:
    """The check, from the definitions as they would be applied. It fails too where it cannot be told what is served."""
    from orchestration.features.layout import planned
    from orchestration.features.served import ServedUnknownError, served_models
    from orchestration.features.store import rehearsed

    try:
        served = served_models(RolloutStore.connect(settings.redis_url))
    except ServedUnknownError as error:
        return _check([], str(error), passed=False)
    services = {FEATURE_SERVICE, *(model.contract.feature_service for model in served)}
    with rehearsed(FEATURE_REPO, settings.home, settings.features_redis_url) as store:
        plan = planned(store, services)
    found = [breach for model in served for breach in breaches(model, plan)]
    refused = [breach for breach in found if breach.model not in accepted]
    if refused:
        names = ", ".join(sorted({f"`{breach.model}`" for breach in refused}))
        todo = f"Nothing was applied. Take the change back, or name {names} in accept_breaking"
        return _check(found, f"served models would break: {_listed(refused)}. {todo}", passed=False)
    if FEATURE_SERVICE not in plan.services:
        return _check(
            [], f"the definitions have no feature service {FEATURE_SERVICE}: nothing was applied", passed=False
        )
    if found:
        return _check(found, f"accepted, served models break: {_listed(found)}", passed=True)
    names = ", ".join(f"{model.name} ({', '.join(model.arms)})" for model in served)
    return _check([], f"kept for {names}" if served else "no model is served: nothing can break", passed=True)


def _check(found: Sequence[Breach], reason: str, *, passed: bool) -> dg.AssetCheckResult:
    rows = [dg.TableRecord({name: str(value) for name, value in asdict(breach).items()}) for breach in found]
    return dg.AssetCheckResult(
        check_name=CONTRACTS_CHECK,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN if passed and found else dg.AssetCheckSeverity.ERROR,
        description=reason,
        metadata={"reason": reason, "breaches": dg.MetadataValue.table(rows)} if rows else {"reason": reason},
    )


def _listed(found: Sequence[Breach]) -> str:
    return "; ".join(map(str, found))


class OnlineConfig(dg.Config):
    """The day that Redis is brought to."""

    as_of: str = Field(
        default="2013-05-01", description="Day (YYYY-MM-DD) whose first request the store is made ready for."
    )
    empty_first: bool = Field(
        default=False,
        description="Delete what is there first, for Feast keeps newer rows: a wrong materialization is undone so. Events "
        "that came over the stream since are applied again.",
    )
    rewind: bool = Field(
        default=False,
        description="Give up what came after that day: delete what is there and forget the events since. A replay that "
        "turns the clock back needs it.",
    )


@dg.asset(
    deps=[feature_views, feature_registry],
    group_name="features",
    kinds={"feast", "redis"},
    tags={"layer": "features"},
    owners=OWNERS,
)
def online_store(config: OnlineConfig) -> dg.MaterializeResult:
    """The latest row of every entity in Redis, by `feast materialize`: the base from which the updater goes on."""
    import redis

    from orchestration.features.live.base import set_base
    from orchestration.features.live.watermark import watermark_key
    from orchestration.features.store import empty_online, materialize, online_client, open_store

    settings = Settings.load()
    first, end = parse_days(config.as_of, "9999-12-31")
    _require_known_before(first, settings.lake)
    until, _ = view_window(first, end)
    client = online_client(settings.features_redis_url)
    store = open_store(FEATURE_REPO, settings.home, settings.features_redis_url, settings.feast_registry)
    emptied = empty_online(client) if config.empty_first or config.rewind else 0
    try:
        # what happened at that very instant comes over the stream, as all that follows
        materialize(store, until - timedelta(microseconds=1))
    except Exception:
        if emptied:  # and not filled: the updater, whose base still holds, sees the loss and writes what it knows
            client.delete(watermark_key())
        raise
    base = set_base(client, redis.Redis.from_url(settings.redis_url), until, rewind=config.rewind)
    return dg.MaterializeResult(
        metadata={
            "as of": until.isoformat(),
            "keys emptied": emptied,
            "keys in Redis": int(client.dbsize()),
            "base": base.id,
        }
    )


def _require_known_before(as_of: date, lake: Path) -> None:
    """A base says that the lake tells all before it: what came over the stream from before is given up, later is late.

    Where no day of the BEGIN_DAYS before is stored, and this one is, the data begin anew with it.
    """
    stored = days_of(lake, "feature_views")
    before = {day for day in stored if day < as_of}
    begins_anew = as_of in stored and not before & set(days(as_of - BEGIN_DAYS, as_of))
    if before and as_of - timedelta(days=1) not in before and not begins_anew:
        last = max(before)
        raise dg.Failure(
            f"as_of {as_of}: the lake has no features of the day before, its last before that is {last}. Materialize the days"
            f" from {last + timedelta(days=1)} on, or take as_of {last + timedelta(days=1)}; nothing was changed",
            allow_retries=False,
        )
