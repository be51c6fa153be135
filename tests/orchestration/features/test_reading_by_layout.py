"""The gateway's reader against Feast's SDK: every value of thousands of keys; on a single Redis and on a cluster."""

import asyncio
import random
import shutil
from array import array
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import redis

from orchestration.features.compute import write_features
from orchestration.features.layout import view_layouts
from orchestration.features.online import OnlineWriter
from orchestration.features.store import apply, empty_online, materialize, online_client, open_store
from orchestration.features.views import FEATURE_SERVICE, PROJECT, VIEWS
from orchestration.ingestion.partitions import read_partitions
from serving_gateway.contracts.online_address import parse_address
from serving_gateway.contracts.online_layout import ViewLayout, entity_key
from serving_gateway.online_cluster import OnlineCluster
from serving_gateway.online_connection import OnlineConnection
from serving_gateway.online_features import OnlineFeatures, ViewRow
from tests.feature_contracts import contract_over
from tests.orchestration.features.lakes import raw_lake
from tests.servers import ROOT, redis_cluster

pytestmark = pytest.mark.integration
START, END = date(2013, 2, 4), date(2013, 2, 6)
UNTIL = datetime(2013, 2, 5, 17, 30, tzinfo=UTC)
Entities = dict[str, str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feast")
    raw_lake(folder / "lake", START, END)
    write_features(folder / "lake", START, END)
    return folder


def read(url: str, layouts: Sequence[ViewLayout], entities: Sequence[Entities]) -> list[dict[str, ViewRow]]:
    async def main() -> list[dict[str, ViewRow]]:
        address = parse_address(url)
        store = OnlineCluster(address) if address.kind == "cluster" else OnlineConnection(address)
        try:
            rows = [(row, int(UNTIL.timestamp() * 1e6)) for row in entities]
            return await OnlineFeatures(contract_over(layouts), store).read(
                rows, asyncio.get_running_loop().time() + 30
            )
        finally:
            store.close()

    return asyncio.run(main())


def some_entities(home: Path, n: int) -> list[Entities]:
    """Of `n` rows one key in ten is of nobody."""
    flights = read_partitions(home / "lake" / "raw" / "flights", START, END)
    known = {key: flights[key].unique().sort().to_list() for key in ("origin", "carrier", "dest", "tailnum")}
    draw = random.Random(5)
    return [
        {key: f"?{draw.randrange(50)}" if draw.random() < 0.1 else draw.choice(known[key]) for key in known}
        for _ in range(n)
    ]


def compare(store: Any, rows: Sequence[dict[str, ViewRow]], entities: Sequence[Entities]) -> dict[str, int]:
    """Every value against Feast's, which tells neither expiry nor why a value is null; returns how many of each kind."""
    service = store.get_feature_service(FEATURE_SERVICE)
    answer = store.get_online_features(features=service, entity_rows=list(entities)).to_dict()
    seen = dict.fromkeys(("present", "missing", "expired", "null"), 0)
    for layout in view_layouts(store):
        for i, row in enumerate(rows):
            view = row[layout.name]
            seen[view.age.status] += 1
            for feature in layout.features:
                if view.age.status == "expired":
                    assert view.values == {}
                    continue
                ours = view.values.get(feature.name)
                ours = ours.tolist() if isinstance(ours, array) else ours
                assert ours == answer[feature.name][i], (layout.name, feature.name, entities[i])
                seen["null"] += view.age.status == "present" and ours is None
    return seen


def test_every_value_is_feasts(home: Path, redis_url: str) -> None:
    store = apply(ROOT / "feature_repo", home, redis_url)
    materialize(store, UNTIL)
    layouts = view_layouts(store)
    with redis.Redis.from_url(redis_url) as client:
        OnlineWriter(client, PROJECT, layouts).write(  # what a null and an expired row look like, for certain
            {
                "carrier_arrivals": pl.DataFrame(
                    {
                        "event_timestamp": [UNTIL, UNTIL - timedelta(days=2)],
                        "carrier": ["AA", "UA"],
                        "e_car_arr_ewm2h_mean": [None, 1.0],
                        "e_car_arr_ewm2h_late": [0.5, 1.0],
                    }
                )
            }
        )
    entities = some_entities(home, 4000)
    seen = compare(store, read(redis_url, layouts, entities), entities)
    assert sum(seen.values()) - seen["null"] == 4000 * len(VIEWS)
    assert min(seen.values()) > 100, seen


def test_a_hash_without_timestamp_is_missing(home: Path, redis_url: str) -> None:
    store = apply(ROOT / "feature_repo", home, redis_url)
    materialize(store, UNTIL)
    layouts = view_layouts(store)
    entities = {"origin": "JFK", "carrier": "AA", "dest": "LAX", "tailnum": "?"}
    with redis.Redis.from_url(redis_url) as client:
        client.hdel(entity_key(PROJECT, ("carrier",), ("AA",)), "_ts:carrier_arrivals")
    [row] = read(redis_url, layouts, [entities])
    assert (row["carrier_arrivals"].age.status, row["carrier_arrivals"].values) == ("missing", {})
    assert row["origin_departures"].age.status == "present"


def test_feast_writes_a_cluster_and_the_gateway_reads_it(home: Path, tmp_path: Path) -> None:
    repo = tmp_path / "feature_repo"
    shutil.copytree(ROOT / "feature_repo", repo)
    with redis_cluster(tmp_path) as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port},127.0.0.1:{nodes[1].port}"
        with pytest.raises(
            ValueError, match=r"set `redis_type: redis_cluster` under online_store in .*feature_store.yaml"
        ):
            open_store(repo, home, url)
        configuration = repo / "feature_store.yaml"
        configuration.write_text(
            configuration.read_text().replace("  type: redis\n", "  type: redis\n  redis_type: redis_cluster\n")
        )
        store = apply(repo, home, url)
        materialize(store, UNTIL)
        entities = some_entities(home, 300)
        layouts = view_layouts(store)
        compare(store, read(url, layouts, entities), entities)
        client = online_client(url, timeout_s=5)
        assert empty_online(client) > 500
        assert {view.age.status for row in read(url, layouts, entities) for view in row.values()} == {"missing"}
        frame = pl.DataFrame(
            {
                "event_timestamp": [UNTIL],
                "carrier": ["AA"],
                "e_car_arr_ewm2h_mean": [1.5],
                "e_car_arr_ewm2h_late": [0.5],
            }
        )
        assert OnlineWriter(client, PROJECT, layouts).write({"carrier_arrivals": frame}) == 1
        [row] = read(url, layouts, [entities[0] | {"carrier": "AA"}])
        assert row["carrier_arrivals"].values == {"e_car_arr_ewm2h_mean": 1.5, "e_car_arr_ewm2h_late": 0.5}
