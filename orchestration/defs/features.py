"""Feature views and training rows in Parquet, and their materialization to the online store."""

import dagster as dg
import redis

from orchestration.defs.common import DAILY, ONE_RUN, OWNERS, day_range, parse_days
from orchestration.defs.ingestion import raw_flights, raw_weather
from orchestration.features.compute import write_features
from orchestration.features.training import write_training
from orchestration.features.views import view_window
from orchestration.settings import ROOT, Settings

FEATURE_REPO = ROOT / "feature_repo"


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    deps=[raw_flights, raw_weather],
    group_name="features",
    kinds={"polars", "parquet", "feast"},
    owners=OWNERS,
)
def feature_views(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Feast's offline store: nine feature views, every row stamped with the instant its values are known."""
    lake = Settings.load().lake
    rows = write_features(lake / "raw", lake / "features", *day_range(context))
    return dg.MaterializeResult(
        metadata={"rows": sum(rows.values()), "rows by view": dg.MetadataValue.json(rows)},
    )


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=ONE_RUN,
    deps=[raw_flights, feature_views],
    group_name="features",
    kinds={"polars", "parquet"},
    owners=OWNERS,
)
def training_rows(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """One row a flight: its label and the 26 features as they stood 60 minutes before its scheduled departure."""
    lake = Settings.load().lake
    rows = write_training(lake / "raw", lake / "features", lake / "training", *day_range(context))
    return dg.MaterializeResult(metadata={"rows": rows, "folder": dg.MetadataValue.path(str(lake / "training"))})


@dg.asset(group_name="features", kinds={"feast"}, owners=OWNERS)
def feature_registry() -> dg.MaterializeResult:
    """Feast's registry by `feast apply`, and the Redis layout that the model contracts carry."""
    from orchestration.features.layout import view_layouts, write_layouts
    from orchestration.features.store import apply

    settings = Settings.load()
    layouts = view_layouts(apply(FEATURE_REPO, settings.home, settings.redis_url))
    write_layouts(settings.feature_layout, layouts)
    return dg.MaterializeResult(
        metadata={"views": len(layouts), "features": sum(len(layout.features) for layout in layouts)}
    )


class OnlineConfig(dg.Config):
    """`as_of`: the store is brought to the first request for flights of this day (ISO date).

    `empty_first`: delete what is there; a replay that turns the clock back needs it, because Feast keeps newer rows.
    """

    as_of: str = "2013-05-01"
    empty_first: bool = False


@dg.asset(deps=[feature_views, feature_registry], group_name="features", kinds={"feast", "redis"}, owners=OWNERS)
def online_store(config: OnlineConfig) -> dg.MaterializeResult:
    """The latest row of every entity in Redis, by `feast materialize`."""
    from orchestration.features.store import empty_online, materialize, open_store

    settings = Settings.load()
    until, _ = view_window(*parse_days(config.as_of, "9999-12-31"))
    client = redis.Redis.from_url(settings.redis_url)
    emptied = empty_online(client) if config.empty_first else 0
    materialize(open_store(FEATURE_REPO, settings.home, settings.redis_url), until)
    return dg.MaterializeResult(
        metadata={"as of": until.isoformat(), "keys emptied": emptied, "keys in Redis": int(client.dbsize())}
    )
