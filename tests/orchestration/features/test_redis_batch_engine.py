"""Our batch engine beside Feast's own: two databases of one Redis, the same Parquet, every byte compared."""

import logging
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
import redis

from orchestration.features.redis_pipeline import Batch, exchange
from tests.orchestration.features.feast_stores import NOW, OURS, dump, materialize, only, rows, store
from tests.servers import RedisServer

pytestmark = pytest.mark.integration
MINUTE = timedelta(minutes=1)
BEFORE_1970 = datetime(1969, 12, 31, 23, 59, 58, tzinfo=UTC)


@pytest.fixture(scope="module")
def batch_engine() -> ModuleType:
    """The module, imported where it is used: it takes Feast with it, for seconds."""
    return import_module("orchestration.features.redis_batch_engine")


@pytest.fixture
def addresses(redis_process: RedisServer, redis_url: str) -> dict[str, str]:
    """By engine, a database of its own in the session's Redis."""
    return {engine: f"127.0.0.1:{redis_process.port},db={db}" for db, engine in enumerate(("local", OURS), start=5)}


def by_both(folder: Path, addresses: dict[str, str], frame: pl.DataFrame, **options: Any) -> None:
    """Materialize the frame by Feast's engine and by ours, and compare all that Redis holds."""
    for engine, address in addresses.items():
        materialize(store(folder / engine, address, frame, engine, **options))
    feasts, ours = (dump(address) for address in addresses.values())
    assert ours == feasts
    assert ours


def drawn(seed: int, keys: Sequence[str], n: int = 300) -> pl.DataFrame:
    """Rows of every type with nulls and extremes, most keys several times; one row in five before 1970."""
    draw = random.Random(seed)
    values: dict[str, tuple[Any, list[Any]]] = {
        "s": (pl.String, ["", "a", "ü" * 100, None]),
        "i": (pl.Int32, [0, -1, 2**31 - 1, -(2**31), None]),
        "n": (pl.Int64, [0, 1, -1, 2**53, -(2**53), None]),
        "d": (pl.Float64, [0.0, -0.0, 1e300, float("inf"), -float("inf"), float("nan"), None]),
        "f": (pl.Float32, [0.0, 1.5, float("inf"), float("nan"), None]),
        "t": (pl.Datetime("us", "UTC"), [NOW, BEFORE_1970 + timedelta(microseconds=1), None]),
        "l": (pl.List(pl.Float64), [[], [0.5], [float("nan"), 2.0], [1.0, None], [0.25] * 40, None]),
    }
    times = [(NOW if draw.random() < 0.8 else BEFORE_1970) - draw.randrange(10**9) * MINUTE / 6e7 for _ in range(n)]
    return pl.DataFrame(
        [pl.Series("event_timestamp", times, dtype=pl.Datetime("us", "UTC"))]
        + [pl.Series(key, [f"{key}{draw.randrange(12)}" for _ in range(n)], dtype=pl.String) for key in keys]
        + [pl.Series(name, draw.choices(choices, k=n), dtype=dtype) for name, (dtype, choices) in values.items()]
    )


@pytest.mark.parametrize("keys", [("k1",), ("k2", "k1")])
def test_every_key_field_and_value_is_feasts(keys: tuple[str, ...], tmp_path: Path, addresses: dict[str, str]) -> None:
    for seed in range(2):
        by_both(tmp_path / str(seed), addresses, drawn(seed, keys))


def test_columns_of_nulls_alone_are_feasts(tmp_path: Path, addresses: dict[str, str]) -> None:
    frame = drawn(3, ("k1",), 20)
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in frame.schema.items() if len(name) == 1]
    by_both(tmp_path, addresses, frame.with_columns(empty))


def test_a_view_without_entities_is_feasts(tmp_path: Path, addresses: dict[str, str]) -> None:
    by_both(tmp_path, addresses, drawn(4, ()).with_columns(pl.lit("").alias("__dummy_id")))


def test_of_equal_times_the_one_created_last_is_written(tmp_path: Path, addresses: dict[str, str]) -> None:
    created = [NOW, NOW + MINUTE, NOW - MINUTE]
    frame = rows([NOW - MINUTE] * 3, k1=["a"] * 3, created=created)
    by_both(tmp_path, addresses, frame, fields=only("i"))


@pytest.mark.parametrize("skip_dedup", [False, True])
def test_older_equal_and_newer_rows_are_skipped_as_by_feast(
    skip_dedup: bool, tmp_path: Path, addresses: dict[str, str]
) -> None:
    keys, second = [f"a{n}" for n in range(6)], timedelta(microseconds=1)
    earlier = [NOW - MINUTE] * 3 + [BEFORE_1970] * 3
    later = [t + step for t, step in zip(earlier, [-second, 0 * second, second] * 2, strict=True)]
    for n, times in enumerate((earlier, later)):
        frame = rows(times, i=[10 * n + key for key in range(6)], k1=keys)
        by_both(tmp_path / str(n), addresses, frame, fields=only("i"), skip_dedup=skip_dedup)


def test_keys_expire_as_by_feast(tmp_path: Path, addresses: dict[str, str]) -> None:
    by_both(tmp_path, addresses, drawn(5, ("k1",), 50), key_ttl_seconds=3600)
    assert all(expires for _, expires in dump(addresses[OURS]).values())


def test_rows_of_one_key_in_one_batch_are_guarded_as_by_feast(tmp_path: Path, addresses: dict[str, str]) -> None:
    """Feast's writer itself is asked, batch after batch: its query hands it a key once."""
    from feast.utils import _convert_arrow_to_proto
    from feast.value_type import ValueType

    draw, epoch = random.Random(6), datetime(1970, 1, 1, tzinfo=UTC)
    providers = [
        store(tmp_path / engine, address, rows([NOW], k1=["a"]), engine, fields=only("i"))._get_provider()
        for engine, address in addresses.items()
    ]
    feasts, ours = providers
    view = store(tmp_path, addresses[OURS], rows([NOW], k1=["a"]), fields=only("i")).get_feature_view("view")
    for n in range(60):
        times = [epoch + draw.randrange(-3, n + 1) * timedelta(milliseconds=500) for _ in range(6)]
        frame = rows(times, i=[10 * n + i for i in range(6)], k1=draw.choices("abc", k=6))
        (batch,) = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()
        data = _convert_arrow_to_proto(batch, view, {"k1": ValueType.STRING})
        feasts.online_write_batch(feasts.repo_config, view, data, None)
        ours.batch_engine._write(view, iter([batch]))
        assert dump(addresses[OURS]) == dump(addresses["local"])


def test_what_the_encoder_does_not_know_is_left_to_feast(
    tmp_path: Path, addresses: dict[str, str], caplog: pytest.LogCaptureFixture, batch_engine: ModuleType
) -> None:
    from feast import Field
    from feast.types import Bool, Float32

    caplog.set_level(logging.INFO, batch_engine.__name__)
    frame = rows([NOW - MINUTE] * 3, k1=["a", "b", "c"], b=[True, False, None], f=[1, 2, 3])
    by_both(tmp_path / "type", addresses, frame, fields=[*only("i"), Field(name="b", dtype=Bool)])
    assert "view is left to Feast's own engine: its types are BOOL, INT32" in caplog.text
    by_both(tmp_path / "column", addresses, frame, fields=[Field(name="f", dtype=Float32)])  # stored as int64
    assert "view is left to Feast's own engine: its column f is int64" in caplog.text


def test_another_online_store_is_left_to_feast(tmp_path: Path) -> None:
    made = store(tmp_path, "", rows([NOW - MINUTE], k1=["a"]), kind="sqlite", fields=only("i"))
    materialize(made)
    answer = made.get_online_features(features=["view:i"], entity_rows=[{"k1": "a"}])
    assert answer.to_dict() == {"k1": ["a"], "i": [0]}


def test_no_more_than_a_batch_is_held_or_sent(
    tmp_path: Path, addresses: dict[str, str], monkeypatch: pytest.MonkeyPatch, batch_engine: ModuleType
) -> None:
    sent: list[int] = []

    def watched(client: Any, batches: Sequence[Batch]) -> list[Any]:
        sent.append(sum(batch.rows for batch in batches))
        return exchange(client, batches)

    def read(self: Any, view: Any, found: Iterator[Any]) -> None:
        write(self, view, (batch for batch in found if not held.append(batch.num_rows)))

    held: list[int] = []
    write = batch_engine.RedisBatchEngine._write
    monkeypatch.setattr(batch_engine, "exchange", watched)
    monkeypatch.setattr(batch_engine.RedisBatchEngine, "_write", read)
    n = 3 * batch_engine.ROWS + 17
    frame = rows([NOW - MINUTE] * n, k1=[f"a{i}" for i in range(n)])
    made = store(tmp_path, addresses[OURS], frame, fields=only("i"))
    for size in (1000, None):  # what is asked for, and our own bound
        made.config.materialization_config.online_write_batch_size = size
        materialize(made)
        assert max(held) == max(sent) == (size or batch_engine.ROWS)
        assert sum(held) == n
        assert len(held) < 3 * n / (size or batch_engine.ROWS)
        assert made._get_provider().online_store._client.dbsize() == n
        held.clear()
        sent.clear()


def test_a_bad_row_or_file_names_the_view_and_what_to_do(
    tmp_path: Path, addresses: dict[str, str], batch_engine: ModuleType
) -> None:
    made = store(tmp_path, addresses[OURS], rows([NOW - MINUTE] * 2, k1=["a", None]), fields=only("i"))
    with pytest.raises(
        batch_engine.MaterializationError, match=r"view view .*rows have no k1.*look at .*view\.parquet.*again"
    ):
        materialize(made)
    assert made.get_feature_view("view").materialization_intervals == []
    (tmp_path / "view.parquet").unlink()
    with pytest.raises(batch_engine.MaterializationError, match=r"feature view view .*view\.parquet"):
        materialize(made)


def test_an_error_among_the_replies_leaves_a_usable_connection(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(b"b", b"a string")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            exchange(client, [Batch(3, (b"HSET", [b"a", b"b", b"c"], b"f", [b"1", b"2", b"3"]))])
        assert exchange(client, [Batch(2, (b"HGET", [b"a", b"c"], b"f")), Batch(1, (b"GET", [b"b"]))]) == [
            b"1",
            b"3",
            b"a string",
        ]
