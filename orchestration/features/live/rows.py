"""Rows of the online store: written where a key has one, taken away where it has none any longer."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import redis

from orchestration.features.layout import read_layouts
from orchestration.features.live.affected import Affected, Key
from orchestration.features.live.history import Row, Rows
from orchestration.features.redis_pipeline import Batch, exchange, hset
from orchestration.features.views import BY_NAME, VIEWS
from serving_gateway.contracts.online_layout import ViewLayout, encode_timestamp, encode_value, entity_key

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

    def write(self, rows: Rows, of: Affected) -> int:
        """Write the rows of these keys, and remove the values of those that have none; returns how many were written.

        One round trip. Raises redis.RedisError: some may be written then, and all may be written again.
        """
        batches, written = [], 0
        for name, keys in of.items():
            layout, found = self._layouts[name], rows.get(name, {})
            gone = keys.difference(found)
            if found:
                batches.append(encoded(found, layout, self._project))
                written += len(found)
            if gone:
                batches.append(Batch(len(gone), (b"HDEL", _redis_keys(gone, layout, self._project), *_fields(layout))))
        exchange(self._client, batches)
        return written


def encoded(rows: Mapping[Key, Row], layout: ViewLayout, project: str) -> Batch:
    """The commands that write rows of a view: Feast's bytes, as encode.py makes them of columns."""
    names = BY_NAME[layout.name].feature_names
    columns = {
        bytes.fromhex(feature.field): [encode_value(feature.dtype, row.values[at]) for row in rows.values()]
        for feature, at in ((feature, names.index(feature.name)) for feature in layout.features)
    }
    columns[layout.timestamp_field] = [encode_timestamp(row.at_us) for row in rows.values()]
    return hset(_redis_keys(rows, layout, project), columns)


def _redis_keys(keys: Iterable[Key], layout: ViewLayout, project: str) -> list[bytes]:
    order = [BY_NAME[layout.name].join_keys.index(name) for name in layout.join_keys]
    return [entity_key(project, layout.join_keys, tuple(key[at] for at in order)) for key in keys]


def _fields(layout: ViewLayout) -> list[bytes]:
    return [layout.timestamp_field, *(bytes.fromhex(feature.field) for feature in layout.features)]
