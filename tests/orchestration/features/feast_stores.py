"""Feast stores over one Parquet file, alike but for their batch engine: Feast's own, or ours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import redis

OURS = "orchestration.features.redis_batch_engine.RedisBatchEngine"
PROJECT = "trial"
NOW = datetime(2024, 5, 1, tzinfo=UTC)
AGES = timedelta(days=365 * 80)  # back to before 1970
Dump = dict[bytes, tuple[dict[bytes, bytes], bool]]


def features() -> list[Any]:
    """A field of every type that the encoder knows."""
    from feast import Field
    from feast.types import Array, Float32, Float64, Int32, Int64, String, UnixTimestamp

    types = {"s": String, "i": Int32, "n": Int64, "d": Float64, "f": Float32, "t": UnixTimestamp, "l": Array(Float64)}
    return [Field(name=name, dtype=dtype) for name, dtype in types.items()]


def store(folder: Path, connection: str, frame: pl.DataFrame, engine: str = OURS, **options: Any) -> Any:
    """A registered store with the view `view` over `frame`, its keys the columns `k…`; `options` are its online store's.

    `fields`: the view's features, all of `features()` by default. `kind`: the type of the online store.
    """
    from feast import Entity, FeatureStore, FeatureView, FileSource, RepoConfig
    from feast.data_format import ParquetFormat
    from feast.value_type import ValueType

    fields, kind = options.pop("fields", None) or features(), options.pop("kind", "redis")
    folder.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / "view.parquet")
    source = FileSource(
        name="source",
        path=str(folder / "view.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created" if "created" in frame.columns else "",
    )
    entities = [
        Entity(name=name, join_keys=[name], value_type=ValueType.STRING)
        for name in frame.columns
        if name.startswith("k")
    ]
    view = FeatureView(name="view", entities=entities, schema=_keys(frame) + fields, ttl=AGES, source=source)
    address = {"connection_string": connection} if kind == "redis" else {"path": str(folder / "online.db")}
    made = FeatureStore(
        config=RepoConfig(
            project=PROJECT,
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": kind, **address, **options},
            offline_store={"type": "duckdb"},
            batch_engine={"type": engine},
            materialization={"pull_latest_features": True, "online_write_batch_size": 1000},
            entity_key_serialization_version=3,
        )
    )
    made.apply([*entities, view])
    return made


def materialize(made: Any) -> None:
    made.materialize(NOW - AGES, NOW)


def dump(connection: str) -> Dump:
    """Every key with its fields, and whether it expires."""
    host, port, *options = connection.replace(":", ",").split(",")
    db = next((int(option.removeprefix("db=")) for option in options if option.startswith("db=")), 0)
    with redis.Redis(host=host, port=int(port), db=db) as client:
        return {key: (client.hgetall(key), client.ttl(key) > 0) for key in client.scan_iter(count=1000)}  # type: ignore[misc]


def rows(times: Sequence[datetime], **columns: Any) -> pl.DataFrame:
    """A frame with event_timestamp and one int32 feature `i`; further columns by name."""
    stamped = pl.Series("event_timestamp", times, dtype=pl.Datetime("us", "UTC"))
    numbers = columns.pop("i", list(range(len(times))))
    return pl.DataFrame([stamped, pl.Series("i", numbers, dtype=pl.Int32)]).with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


def only(*names: str) -> list[Any]:
    """Those of `features()`."""
    return [field for field in features() if field.name in names]


def _keys(frame: pl.DataFrame) -> list[Any]:
    from feast import Field
    from feast.types import String

    return [Field(name=name, dtype=String) for name in frame.columns if name.startswith(("k", "__dummy_id"))]
