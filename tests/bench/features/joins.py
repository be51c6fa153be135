"""Point-in-time joins of 300,000 rows: ours by polars, Feast's duckdb store and its default (dask). Each in its own process."""

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.features.compute import read_view, write_features
from orchestration.features.inputs import model_inputs
from orchestration.features.point_in_time import inputs_at
from orchestration.features.store import apply
from orchestration.features.views import BY_NAME, LEAD
from orchestration.ingestion.partitions import read_partitions
from serving_gateway.contracts.model import stored_features
from tests.orchestration.features.lakes import raw_lake
from tests.servers import ROOT

START, END = date(2013, 1, 1), date(2013, 12, 31)
ROWS = 300_000
# by one key, by two, by the one with the most values
VIEWS = ("origin_weather", "carrier_origin_departures", "tail_arrivals")
FEATURES = [f"{name}:{feature}" for name in VIEWS for feature in BY_NAME[name].feature_names]
INPUTS = [
    i
    for i in model_inputs({"carrier": (), "origin": ()})
    if {view for view, _ in stored_features(i.source)} & set(VIEWS)
]
_STORES = {"feast_duckdb": "duckdb", "feast_dask": "dask"}


def make_year(folder: Path) -> float:
    """A year's raw partitions become features in `folder`/lake; returns the seconds that the features took."""
    raw_lake(folder / "lake", START, END)
    began = time.perf_counter()
    write_features(folder / "lake", START, END)
    return time.perf_counter() - began


def entity_rows(folder: Path) -> pl.DataFrame:
    """The rows to be joined: request_id, event_timestamp and keys, by time."""
    flights = read_partitions(folder / "lake" / "raw" / "flights", START, END)
    rows = flights.select("request_id", "origin", "carrier", "tailnum", event_timestamp=pl.col("sched_dep") - LEAD)
    return rows.sample(ROWS, seed=3).sort("event_timestamp", "request_id")


def join(target: str, folder: Path, redis_url: str) -> tuple[float, int]:
    """Seconds from the stored files to the joined rows, and how many rows came out. Feast's registry is made before."""
    rows = entity_rows(folder)
    if target == "ours":
        began = time.perf_counter()
        views = {name: read_view(folder / "lake" / "features", name, START, END) for name in VIEWS}
        joined = inputs_at(rows, views, INPUTS)
        return time.perf_counter() - began, joined.height
    store = _feast(target, folder, redis_url)
    frame = rows.with_columns(pl.col("event_timestamp").dt.cast_time_unit("us")).to_pandas()
    began = time.perf_counter()
    found = store.get_historical_features(entity_df=frame, features=FEATURES).to_df()
    return time.perf_counter() - began, len(found)


def _feast(target: str, folder: Path, redis_url: str) -> Any:
    import shutil

    repo = folder / target
    shutil.copytree(ROOT / "feature_repo", repo)
    configuration = repo / "feature_store.yaml"
    text = configuration.read_text().replace("type: duckdb", f"type: {_STORES[target]}")
    configuration.write_text(text.replace("feast/registry.db", f"feast/{target}.db"))
    return apply(repo, folder, redis_url)


def days_stated() -> int:
    """Days that `make_year` computes."""
    return (END - START) // timedelta(days=1)
