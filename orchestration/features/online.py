"""Write and read the online store by its exported layout: Feast's bytes without Feast."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl
import redis
from msgspec import Struct

from orchestration.features.encode import TIME, encode
from orchestration.features.redis_pipeline import exchange, hset
from serving_gateway.contracts.online_layout import (
    FeatureField,
    StoredValue,
    ViewLayout,
    decode_timestamp,
    decode_value,
    entity_key,
)


class OnlineRow(Struct, frozen=True):
    """What the online store holds of a view for one entity: UTC seconds since the epoch, values by feature name."""

    event_time_s: float
    values: "dict[str, StoredValue | None]"


class OnlineWriter:
    """Applies rows of feature views to Redis, encoded by columns."""

    def __init__(self, client: "redis.Redis", project: str, layouts: Iterable[ViewLayout]) -> None:
        self._redis = client
        self._project = project
        self._layouts = {layout.name: layout for layout in layouts}

    def write(self, rows: Mapping[str, pl.DataFrame]) -> int:
        """Store the last row of each key; returns the number of hashes written. One round trip.

        Args:
            rows: view name to rows with event_timestamp Datetime("us", "UTC"), the join keys and the features. They
                must be no older than what is stored: unlike Feast, the writer does not ask first.

        Raises:
            KeyError: for a view outside the layout.
            ValueError: naming view and column, for values that cannot be stored; nothing was written.
            redis.RedisError: some rows may be written; all may be written again.
        """
        batches = []
        for view, frame in rows.items():
            layout = self._layouts[view]
            last = frame.sort(TIME, maintain_order=True)
            last = last.unique(layout.join_keys, keep="last", maintain_order=True) if layout.join_keys else last.tail(1)
            batches.append(hset(*encode(last, layout, self._project)))
        return len(exchange(self._redis, batches))


def read_online(
    client: "redis.Redis", project: str, layout: ViewLayout, keys: Sequence[tuple[str, ...]]
) -> list[OnlineRow | None]:
    """The view's row of each entity (values in the order of the layout's join keys), None where there is none.

    Expired rows are returned too: whoever reads compares `event_time_s` with the view's ttl.
    """
    fields = [layout.timestamp_field, *(bytes.fromhex(f.field) for f in layout.features)]
    with client.pipeline(transaction=False) as pipeline:
        for values in keys:
            pipeline.hmget(entity_key(project, layout.join_keys, values), fields)
        return [_row(layout.features, found) for found in pipeline.execute()]


def _row(features: Sequence[FeatureField], found: Sequence[bytes | None]) -> OnlineRow | None:
    time_s = decode_timestamp(found[0])
    if time_s is None:
        return None
    return OnlineRow(time_s, {f.name: decode_value(data) for f, data in zip(features, found[1:], strict=True)})
