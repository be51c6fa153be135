"""Feature views and training rows, and their materialization to the online store. `lake` holds the step of the first."""

from typing import Any

import dagster as dg
from pydantic import Field

from orchestration.defs.common import OWNERS, parse_days, table_schema
from orchestration.features.columns import training_columns, view_table
from orchestration.features.views import view_window
from orchestration.settings import ROOT, Settings

FEATURE_REPO = ROOT / "feature_repo"


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


@dg.asset(group_name="features", kinds={"feast"}, tags={"layer": "features"}, owners=OWNERS)
def feature_registry() -> dg.MaterializeResult:
    """Feast's registry by `feast apply`, and the Redis layout that the model contracts carry."""
    from orchestration.features.layout import view_layouts, write_layouts
    from orchestration.features.store import apply

    settings = Settings.load()
    layouts = view_layouts(apply(FEATURE_REPO, settings.home, settings.features_redis_url))
    write_layouts(settings.feature_layout, layouts)
    return dg.MaterializeResult(
        metadata={"views": len(layouts), "features": sum(len(layout.features) for layout in layouts)}
    )


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
    from orchestration.features.store import empty_online, materialize, online_client, open_store

    settings = Settings.load()
    until, _ = view_window(*parse_days(config.as_of, "9999-12-31"))
    client = online_client(settings.features_redis_url)
    emptied = empty_online(client) if config.empty_first or config.rewind else 0
    materialize(open_store(FEATURE_REPO, settings.home, settings.features_redis_url), until)
    base = set_base(client, redis.Redis.from_url(settings.redis_url), until, rewind=config.rewind)
    return dg.MaterializeResult(
        metadata={
            "as of": until.isoformat(),
            "keys emptied": emptied,
            "keys in Redis": int(client.dbsize()),
            "base": base.id,
        }
    )
