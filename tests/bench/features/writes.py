"""Materialization of one view to a real Redis: by our batch engine, and by Feast's own. Each in a process of its own."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import redis

from tests.bench.measure import NotComparableError
from tests.servers import redis_server

ENGINES = {"ours": "orchestration.features.redis_batch_engine.RedisBatchEngine", "feast_materialize": "local"}
FEATURES = tuple(f"f{n}" for n in range(6))
START = datetime(2024, 1, 1, tzinfo=UTC)
WARM_UP = 1000
DIGEST_S = 120.0  # Redis reads all that it holds for its digest, and answers nothing else meanwhile


def measure(target: str, folder: Path, rows: int) -> tuple[float, float]:
    """Rows a second, and the peak of resident memory in MB (10^6 bytes) above what the process held before.

    `rows` keys with a row each: a string key, six float32 features. A thousand others are materialized first, so that
    imports and first calls (330 MB, 1.5 s, for both alike) are in neither figure. Raises RuntimeError where Redis then
    holds another number of keys. Redis's digest of its whole content is left in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "rows.parquet", WARM_UP + rows)
    with redis_server(folder) as server, redis.Redis(port=server.port, socket_timeout=DIGEST_S) as client:
        store = _store(target, folder, f"127.0.0.1:{server.port}")
        store.materialize(START - timedelta(days=1), START - timedelta(seconds=1))
        held = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak begins again
        began = time.perf_counter()
        store.materialize(START, START + timedelta(days=1))
        seconds = time.perf_counter() - began
        peak = _memory("VmHWM")
        if (stored := client.dbsize() - WARM_UP) != rows:
            raise RuntimeError(f"{target}: {rows} rows became {stored} keys")
        digest_path(folder).write_text(str(client.execute_command("DEBUG", "DIGEST")))  # of all keys and values
    return rows / seconds, peak - held


def digest_path(folder: Path) -> Path:
    """Where `measure` leaves the digest: equal for equal content, in whatever order it was written."""
    return folder / "digest"


def check(folder: Path, reference: Path) -> None:
    """Raises NotComparableError where what was measured in `folder` left another content than in `reference`."""
    ours, theirs = digest_path(folder).read_text(), digest_path(reference).read_text()
    if ours != theirs:
        raise NotComparableError(f"Redis holds other bytes than the reference: digest {ours}, not {theirs}")


def _write(path: Path, rows: int) -> None:
    draw = np.random.default_rng(11)
    times = draw.integers(0, 86_400 * 10**6, rows)
    times[:WARM_UP] -= 86_400 * 10**6
    columns = {name: draw.standard_normal(rows).astype(np.float32) for name in FEATURES}
    stamped = pl.Series(int(START.timestamp() * 1e6) + times).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"event_timestamp": stamped, "key": [f"key-{n:07d}" for n in range(rows)]} | columns)
    frame.write_parquet(path)


def _store(target: str, folder: Path, connection: str) -> Any:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.data_format import ParquetFormat
    from feast.types import Float32, String
    from feast.value_type import ValueType

    key = Entity(name="key", join_keys=["key"], value_type=ValueType.STRING)
    source = FileSource(
        name="rows",
        path=str(folder / "rows.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )
    fields = [Field(name="key", dtype=String), *(Field(name=name, dtype=Float32) for name in FEATURES)]
    view = FeatureView(name="view", entities=[key], schema=fields, ttl=timedelta(days=1), source=source)
    store = FeatureStore(
        config=RepoConfig(  # as feature_repo/feature_store.yaml, but for the engine
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "redis", "connection_string": connection},
            offline_store={"type": "duckdb"},
            batch_engine={"type": ENGINES[target]},
            materialization={"pull_latest_features": True, "online_write_batch_size": 10_000},
            entity_key_serialization_version=3,
        )
    )
    store.apply([key, view])
    return store


def _memory(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:"))
