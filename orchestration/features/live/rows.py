"""Rows of the online store: written where a key has one, taken away where it has none any longer."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import redis

from orchestration.features.layout import read_layouts
from orchestration.features.live.affected import Affected
from orchestration.features.online import OnlineWriter
from orchestration.features.views import BY_NAME, VIEWS
from serving_gateway.contracts.online_layout import ViewLayout, entity_key

_TODO = "materialize feature_registry"


def layout_problem(path: Path) -> str:
    """Why rows cannot be written by the exported layout, and what to do; empty where they can.

    Definitions may change with the code, and are exported later.
    """
    if not path.exists():
        return f"no layout: {_TODO}"
    layouts = {view.name: view for view in read_layouts(path)}
    for view in VIEWS:
        if view.name not in layouts:
            return f"the layout has no view {view.name}: {_TODO}"
        if unknown := {feature.name for feature in layouts[view.name].features}.difference(view.feature_names):
            return f"the layout has {view.name}:{min(unknown)}, which is computed no more: {_TODO}"
    return ""


class OnlineRows:
    """Writes what keys have, and takes away what they have no longer."""

    def __init__(self, client: "redis.Redis", project: str, layout: Path) -> None:
        """`layout` is the exported one. Raises FileNotFoundError where `feature_registry` was not materialized yet."""
        self._client = client
        self._project = project
        self._layouts = {view.name: view for view in read_layouts(layout)}
        self._writer = OnlineWriter(client, project, self._layouts.values())

    def write(self, rows: Mapping[str, pl.DataFrame], of: Affected) -> int:
        """Write the rows of these keys, and remove the values of those that have none; returns how many were written."""
        written = self._writer.write(rows) if rows else 0
        with self._client.pipeline(transaction=False) as pipeline:
            for view, keys in of.items():
                layout = self._layouts[view]
                for key in keys - _keys(view, rows):
                    entity = dict(zip(BY_NAME[view].join_keys, key, strict=True))
                    values = tuple(entity[name] for name in layout.join_keys)
                    pipeline.hdel(entity_key(self._project, layout.join_keys, values), *_fields(layout))
            if len(pipeline):
                pipeline.execute()
        return written


def _keys(view: str, rows: Mapping[str, pl.DataFrame]) -> set[tuple[str, ...]]:
    if view not in rows:
        return set()
    join_keys = BY_NAME[view].join_keys
    return set(rows[view].select(join_keys).rows()) if join_keys else {()}


def _fields(layout: ViewLayout) -> list[bytes]:
    return [layout.timestamp_field, *(bytes.fromhex(feature.field) for feature in layout.features)]
