"""Feast's batch engine for Redis: what `feast materialize` writes, byte for byte, by columns and in bounded memory.

Named as `batch_engine` in feature_repo/feature_store.yaml, and imported by Feast alone: it imports Feast at its top.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain, compress
from typing import Any, Literal, cast

import polars as pl
import pyarrow as pa
import redis
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.feature_builder import LocalFeatureBuilder
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.offline_stores.ibis import IbisRetrievalJob
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore, _versioned_fv_name
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.value_type import ValueType
from google.protobuf.timestamp_pb2 import Timestamp
from redis.exceptions import RedisClusterException

from orchestration.features.encode import hash_fields, redis_keys, times_us
from orchestration.features.redis_pipeline import Batch, exchange, hset
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout

log = logging.getLogger(__name__)

ROWS = 5_000  # at a time: more are no faster, and online_write_batch_size may only ask for fewer

_STRINGS = (pa.types.is_string, pa.types.is_large_string)
# Which columns become the same bytes as by Feast. Others are left to it, with its conversions and its refusals.
_STORED: dict[Any, tuple[Any, tuple[Callable[[pa.DataType], bool], ...]]] = {
    ValueType.STRING: ("string", _STRINGS),
    ValueType.INT32: ("int32", (pa.types.is_int32,)),
    ValueType.INT64: ("int64", (pa.types.is_int64, pa.types.is_int32)),
    ValueType.FLOAT: ("float", (pa.types.is_float32, pa.types.is_float64)),
    ValueType.DOUBLE: ("double", (pa.types.is_float64,)),
    ValueType.UNIX_TIMESTAMP: ("unix_timestamp", (pa.types.is_timestamp,)),
    ValueType.DOUBLE_LIST: ("double_list", (lambda t: pa.types.is_list(t) and pa.types.is_float64(t.value_type),)),
}


class MaterializationError(RuntimeError):
    """A view was not, or not wholly, written to the online store; the message says which and what to do."""


class RedisBatchEngineConfig(FeastConfigBaseModel):
    """`batch_engine` of feature_store.yaml; Feast finds it by the engine's name. `backend` is for Feast's own engine."""

    type: Literal["orchestration.features.redis_batch_engine.RedisBatchEngine"] = (
        "orchestration.features.redis_batch_engine.RedisBatchEngine"
    )
    backend: str | None = None


class RedisBatchEngine(LocalComputeEngine):
    """Materializes plain feature views to Redis; leaves every other view and online store to Feast's own engine."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **options: Any
    ) -> LocalMaterializationJob:
        view = task.feature_view
        reason = self._not_ours(task)
        if reason is None:
            try:
                with closing(self._batches(registry, task)) as batches:
                    first = next(batches, None)
                    reason = None if first is None else _unknown_column(view, first.schema)
                    if first is not None and reason is None:
                        self._write(view, chain([first], batches))
            except Exception as error:  # noqa: BLE001 - Feast takes a job's error, puts the view's state back and raises it
                return _job(task, _explained(view, error))
        if reason is not None:
            log.info("feature view %s is left to Feast's own engine: %s", view.name, reason)
            return super()._materialize_one(registry, task, **options)
        return _job(task)

    def _not_ours(self, task: MaterializationTask) -> str | None:
        """Why the view is left to Feast as far as its definition tells, None where it is not."""
        view = task.feature_view
        types = {field.dtype.to_value_type() for field in view.features}
        keys = {field.dtype.to_value_type() for field in view.entity_columns}
        computed = any(getattr(view, name, None) for name in ("feature_transformation", "aggregations", "filter"))
        reasons = (
            (type(self.online_store) is not RedisOnlineStore, "the online store is not Redis"),
            (self.repo_config.entity_key_serialization_version != 3, "its keys are not of version 3"),
            (type(view) is not FeatureView or view.data_source is None or computed, "it is no plain feature view"),
            (not view.online or view.offline or view.enable_validation, "it is validated or stored elsewhere"),
            (not task.only_latest, "all rows are asked for"),
            (any(field.vector_index for field in view.features), "it has a vector index"),
            (not types <= _STORED.keys(), f"its types are {', '.join(sorted(t.name for t in types))}"),
            (keys != {ValueType.STRING}, "its keys are no strings"),
        )
        return next((reason for holds, reason in reasons if holds), None)

    def _batches(self, registry: BaseRegistry, task: MaterializationTask) -> Generator[pa.RecordBatch, None, None]:
        """The latest row of each key within the task's interval, a batch at a time, by Feast's own query."""
        view: Any = task.feature_view
        context = self.get_execution_context(registry, task)
        columns = LocalFeatureBuilder(registry, task, self._get_backend(context)).get_column_info(view)
        job = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=view.data_source,
            join_key_columns=columns.join_keys,
            feature_name_columns=columns.feature_cols,
            timestamp_field=columns.ts_col,
            created_timestamp_column=columns.created_ts_col,
            start_date=task.start_time,
            end_date=task.end_time,
        )
        rows = min(self.repo_config.materialization_config.online_write_batch_size or ROWS, ROWS)
        names = columns.field_mapping or {}
        with closing(_stream(job, rows)) as batches:
            for batch in batches:
                yield batch.rename_columns([names.get(name, name) for name in batch.schema.names])

    def _write(self, view: Any, found: Iterator[pa.RecordBatch]) -> None:
        config = self.repo_config.online_store
        store: Any = self.online_store
        client = store._get_client(config)  # noqa: SLF001 - so that TLS, Sentinel and Cluster are Feast's matter
        layout = _layout(view, _versioned_fv_name(view, self.repo_config))
        time = view.batch_source.timestamp_field
        for rows in found:
            frame = cast("pl.DataFrame", pl.from_arrow(rows))
            keys = redis_keys(frame, layout, self.repo_config.project)
            if not config.skip_dedup:
                stored = exchange(client, [Batch(len(keys), (b"HGET", keys, layout.timestamp_field))])
                news = newer(keys, (times_us(frame, layout, time) * 1000).tolist(), stored)
                keys, frame = list(compress(keys, news)), frame.filter(pl.Series(news, dtype=pl.Boolean))
            batches = [hset(keys, hash_fields(frame, layout, time))]
            if config.key_ttl_seconds:
                batches.append(Batch(len(keys), (b"EXPIRE", keys, b"%d" % config.key_ttl_seconds)))
            exchange(client, batches)


def _stream(job: Any, rows: int) -> Generator[pa.RecordBatch, None, None]:
    """The job's rows, `rows` at a time. DuckDB streams them, and keeps its connection to itself until the end."""
    if not isinstance(job, IbisRetrievalJob):
        yield from job.to_arrow().to_batches(max_chunksize=rows)
        return
    duckdb = job.table.get_backend()
    duckdb._run_pre_execute_hooks(job.table)  # noqa: SLF001 - ibis's to_pyarrow_batches asks DuckDB for a method that is gone
    with duckdb.con.sql(duckdb.compile(job.table)).to_arrow_reader(rows) as reader:
        yield from reader


def newer(keys: Sequence[bytes], times_ns: Sequence[int], stored: Sequence[bytes | None]) -> list[bool]:
    """Which rows Feast writes: those newer than what is stored and than the key's rows before it.

    As in RedisOnlineStore.online_write_batch, a time before 1970 guards nothing.

    Args:
        keys: the Redis key of each row.
        times_ns: its event time, nanoseconds since the epoch.
        stored: the protobuf Timestamp of the key's `_ts:` field, None where there is none.
    """
    latest: dict[bytes, int] = {}
    news = []
    for key, time_ns, old in zip(keys, times_ns, stored, strict=True):
        seen_ns = max(_nanoseconds(old) if old else 0, latest.get(key, 0))
        news.append(not seen_ns or time_ns > seen_ns)
        if news[-1]:
            latest[key] = time_ns
    return news


def _nanoseconds(stored: bytes) -> int:
    time = Timestamp.FromString(stored)
    return int(time.seconds * 1_000_000_000 + time.nanos)


def _layout(view: Any, name: str) -> ViewLayout:
    """The view as its file defines it: every feature, and `__dummy_id` as the key of a view without entities."""
    features = tuple(
        FeatureField(name=f.name, field=_mmh3(f"{name}:{f.name}").hex(), dtype=_STORED[f.dtype.to_value_type()][0])
        for f in view.features
    )
    return ViewLayout(name=name, join_keys=tuple(sorted(view.join_keys)), features=features, ttl_s=0)


def _unknown_column(view: Any, schema: pa.Schema) -> str | None:
    """Why the view's stored columns are left to Feast, None where they are not."""
    wanted = [(field.name, _STORED[field.dtype.to_value_type()][1]) for field in view.features]
    wanted += [(name, _STRINGS) for name in view.join_keys]
    wanted.append((view.batch_source.timestamp_field, (pa.types.is_timestamp,)))
    for name, known in wanted:
        if name not in schema.names:
            return f"it has no column {name}"
        if not any(is_known(schema.field(name).type) for is_known in known):
            return f"its column {name} is {schema.field(name).type}"
    return None


def _job(task: MaterializationTask, error: MaterializationError | None = None) -> LocalMaterializationJob:
    status = MaterializationJobStatus.ERROR if error else MaterializationJobStatus.SUCCEEDED
    return LocalMaterializationJob(f"{task.feature_view.name}-{task.start_time}-{task.end_time}", status, error)


def _explained(view: Any, error: Exception) -> MaterializationError:
    what = "Redis" if isinstance(error, redis.RedisError | RedisClusterException) else "its rows"
    advice = {
        "Redis": "look at the server, and at connection_string and redis_type in feature_store.yaml",
        "its rows": f"look at {view.batch_source.path}" if hasattr(view.batch_source, "path") else "look at its source",
    }[what]
    explained = MaterializationError(
        f"feature view {view.name} was not wholly materialized, for {what}: {error}. To go on, {advice},"
        " then run the same command again: rows that are stored already are skipped"
    )
    explained.__cause__ = error
    return explained
