"""Feast on a real Redis: what it materializes is what we read and write by the exported layout."""

import os
import subprocess
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import redis

from orchestration.features.compute import read_view, write_features
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.layout import read_layouts, view_layouts, write_layouts
from orchestration.features.online import OnlineRow, OnlineWriter, read_online
from orchestration.features.store import apply, empty_online, feast_environment, materialize, open_store
from orchestration.features.training import training_rows
from orchestration.features.views import BY_NAME, FEATURE_SERVICE, LEAD, PROJECT, VIEWS, View
from orchestration.ingestion.partitions import read_partitions
from serving_gateway.contracts.model import ModelContract, RequestField, stored_features
from serving_gateway.contracts.online_layout import StoredValue, ViewLayout, entity_key
from serving_gateway.vectors import Vectors
from tests.feature_contracts import contract_over
from tests.orchestration.features.lakes import raw_lake
from tests.servers import BIN, ROOT

pytestmark = pytest.mark.integration

REPO = ROOT / "feature_repo"
START, END = date(2013, 2, 4), date(2013, 2, 6)
UNTIL = datetime(2013, 2, 5, 17, 30, tzinfo=UTC)
Dump = dict[bytes, dict[bytes, bytes]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feast")
    raw_lake(folder / "lake", START, END)
    write_features(folder / "lake", START, END)
    return folder


@pytest.fixture(scope="module")
def registered(home: Path) -> None:
    apply(REPO, home, "redis://127.0.0.1:1/0")  # the registry is a file; Redis is not touched


@pytest.fixture
def store(home: Path, registered: None, redis_url: str) -> Any:
    return open_store(REPO, home, redis_url)


@pytest.fixture
def client(redis_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


def current(home: Path, view: View) -> pl.DataFrame:
    """The last row of each key that is known and not expired at UNTIL."""
    rows = read_view(home / "lake" / "features", view.name, START, END)
    since = UNTIL - timedelta(seconds=view.ttl_s)
    rows = rows.filter(pl.col("event_timestamp").is_between(since, UNTIL)).sort("event_timestamp")
    return rows.unique(view.join_keys, keep="last") if view.join_keys else rows.tail(1)


def keys_of(rows: pl.DataFrame, layout: ViewLayout) -> list[tuple[str, ...]]:
    return rows.select(layout.join_keys).rows() if layout.join_keys else [()] * rows.height


def dump(client: "redis.Redis") -> Dump:
    return {key: client.hgetall(key) for key in client.scan_iter()}  # type: ignore[misc]


def test_definitions_agree_with_the_table_of_views(store: Any) -> None:
    layouts = {layout.name: layout for layout in view_layouts(store)}
    assert set(layouts) == {view.name for view in VIEWS}
    for view in VIEWS:
        layout = layouts[view.name]
        assert layout.join_keys == tuple(sorted(view.join_keys))
        assert layout.ttl_s == view.ttl_s
        feasts = {"float32": "float", "int64": "int64", "instants": "double_list"}
        ours = {name: feasts[dtype] for name, dtype in view.features}
        assert {f.name: f.dtype for f in layout.features} == ours
    assert store.project == PROJECT


def test_the_layout_is_exported_in_one_order_and_travels_in_a_contract(store: Any, tmp_path: Path) -> None:
    layouts = view_layouts(store)
    write_layouts(tmp_path / "feast" / "layouts.json", layouts)
    assert read_layouts(tmp_path / "feast" / "layouts.json") == layouts
    assert [layout.name for layout in layouts] == sorted(layout.name for layout in layouts)
    travelling = contract_over(layouts, model_inputs({"carrier": ("AA",), "origin": ("JFK",)}))
    assert ModelContract.from_json(travelling.to_json()) == travelling
    there = {(layout.name, feature.name) for layout in layouts for feature in layout.features}
    needed = {pair for i in travelling.inputs for pair in stored_features(i.source)}
    assert needed == there


def test_materialized_values_read_back_by_the_layout(home: Path, store: Any, client: "redis.Redis") -> None:
    materialize(store, UNTIL)
    for layout in view_layouts(store):
        view = BY_NAME[layout.name]
        rows = current(home, view)
        assert rows.height > 0
        expected = [
            OnlineRow(row["event_timestamp"].timestamp(), {f.name: stored(row[f.name]) for f in layout.features})
            for row in rows.iter_rows(named=True)
        ]
        assert read_online(client, PROJECT, layout, keys_of(rows, layout)) == expected


def stored(value: Any) -> Any:
    """A value of a frame as it is decoded."""
    return array("d", value) if isinstance(value, list) else value


def test_feast_reads_what_we_read(store: Any, client: "redis.Redis", home: Path) -> None:
    materialize(store, UNTIL)
    flights = read_partitions(home / "lake" / "raw" / "flights", START, END).sample(20, seed=4)
    entities = flights.select("origin", "carrier", "dest", "tailnum").to_dicts()
    entities.append({"origin": "XXX", "carrier": "YY", "dest": "ZZZ", "tailnum": "N0"})
    service = store.get_feature_service(FEATURE_SERVICE)
    answer = store.get_online_features(features=service, entity_rows=entities).to_dict()
    for layout in view_layouts(store):
        keys = [tuple(entity[key] for key in layout.join_keys) for entity in entities]
        ours = read_online(client, PROJECT, layout, keys)
        assert (ours[-1] is None) == bool(layout.join_keys)
        for feature in layout.features:
            assert [stored(value) for value in answer[feature.name]] == [
                row and row.values[feature.name] for row in ours
            ]


def test_our_writer_writes_feasts_bytes(home: Path, store: Any, client: "redis.Redis") -> None:
    from feast.infra.compute_engines.local.compute import LocalComputeEngine
    from feast.infra.online_stores.helpers import _mmh3

    store.config.batch_engine_config = "local"  # Feast's own, not ours
    materialize(store, UNTIL)
    assert type(store._get_provider().batch_engine) is LocalComputeEngine
    feasts = dump(client)
    del feasts[entity_key(PROJECT, (), ())][_mmh3("nyc_departures:__dummy_id")]
    assert empty_online(client) == len(feasts)
    writer = OnlineWriter(client, PROJECT, view_layouts(store))
    rows = {view.name: current(home, view) for view in VIEWS}
    # nulls are written too, as Feast does
    assert any(frame.select(pl.any_horizontal(pl.all().is_null().any())).item() for frame in rows.values())
    assert writer.write(rows) == sum(frame.height for frame in rows.values())
    assert dump(client) == feasts


def test_the_last_row_of_a_key_wins_whatever_the_order(store: Any, client: "redis.Redis") -> None:
    layout = next(layout for layout in view_layouts(store) if layout.name == "tail_arrivals")
    times = [UNTIL, UNTIL - timedelta(hours=1)]
    frame = pl.DataFrame(
        {"event_timestamp": times, "tailnum": ["N1", "N1"], "r_tail_last_arr_delay": [1.0, 2.0], "last_arr_at": [1, 2]}
    )
    assert OnlineWriter(client, PROJECT, [layout]).write({"tail_arrivals": frame}) == 1
    assert read_online(client, PROJECT, layout, [("N1",), ("N2",)]) == [
        OnlineRow(UNTIL.timestamp(), {"last_arr_at": 1, "r_tail_last_arr_delay": 1.0}),
        None,
    ]


def test_emptying_spares_everything_else(store: Any, client: "redis.Redis") -> None:
    client.set("{drift}:clock", 1)
    client.set("somebody:drift", 1)
    client.set(entity_key("another", ("origin",), ("JFK",)), 1)
    client.set(entity_key(PROJECT, ("origin",), ("JFK",)), 1)
    client.set(entity_key(PROJECT, (), ()), 1)
    assert empty_online(client) == 2
    assert client.dbsize() == 3


def test_served_vectors_equal_training_vectors(home: Path, store: Any, client: "redis.Redis") -> None:
    """Replay: apply what is known by each request's time, read by the layout, compare with the training row."""
    lake = home / "lake"
    views = {view.name: read_view(lake / "features", view.name, START, END) for view in VIEWS}
    flights = read_partitions(lake / "raw" / "flights", START + timedelta(days=1), END)
    rows = training_rows(flights, views).gather_every(17)
    layouts = view_layouts(store)
    inputs = model_inputs(vocabularies(rows))
    expected = vectors(rows, inputs)
    served = Vectors(contract_over(layouts, inputs))
    writer, since = OnlineWriter(client, PROJECT, layouts), datetime(2013, 1, 1, tzinfo=UTC)
    for i, row in enumerate(rows.iter_rows(named=True)):
        t = row["sched_dep"] - LEAD
        new = pl.col("event_timestamp").is_between(since, t, closed="right")
        writer.write({name: frame.filter(new) for name, frame in views.items()})
        fields = {i.source.field: row[i.source.field] for i in inputs if isinstance(i.source, RequestField)}
        vector = served.from_request(fields, served_views(client, layouts, row), int(t.timestamp()) * 1_000_000)
        assert np.array_equal(np.array(vector, np.float32), expected[i], equal_nan=True)
        since = t


def served_views(
    client: "redis.Redis", layouts: Iterable[ViewLayout], row: dict[str, Any]
) -> "dict[str, dict[str, StoredValue | None]]":
    """What a gateway would find for the row's entities at its time: nothing of what is missing or expired."""
    found = {}
    for layout in layouts:
        [online] = read_online(client, PROJECT, layout, [tuple(row[key] for key in layout.join_keys)])
        fresh = online is not None and row["event_timestamp"].timestamp() - online.event_time_s <= layout.ttl_s
        found[layout.name] = online.values if online is not None and fresh else {}
    return found


@pytest.mark.full
def test_feast_applies_and_materializes_from_the_shell(home: Path, tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "lake").symlink_to(home / "lake")
    (tmp_path / "feast").mkdir()
    environment = os.environ | feast_environment(tmp_path, redis_url) | {"DO_NOT_TRACK": "true"}
    window = [(UNTIL - timedelta(hours=2)).isoformat()[:19], UNTIL.isoformat()[:19]]
    for command in (["apply"], ["materialize", *window]):
        done = subprocess.run(
            [BIN / "feast", "--chdir", REPO, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    store = open_store(REPO, tmp_path, redis_url)
    layout = next(layout for layout in view_layouts(store) if layout.name == "nyc_departures")
    with redis.Redis.from_url(redis_url) as client:
        row = read_online(client, PROJECT, layout, [()])[0]
    assert row is not None
    assert row.event_time_s == current(home, BY_NAME["nyc_departures"])["event_timestamp"].item().timestamp()
    assert not list(REPO.glob("*.db"))
