"""Point-in-time joins of 300,000 rows: ours by polars, Feast's duckdb store and its default (dask).

Feast's dask store merges every row with every row of its key before it looks at time: joined by airport, these rows over a
month are 200 million in between. Hence the views by tail number, whose keys have a few rows each.
"""

import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from orchestration.features.compute import read_view, write_features
from orchestration.features.point_in_time import positions
from orchestration.features.store import apply
from orchestration.features.views import BY_NAME, LEAD
from orchestration.ingestion.partitions import read_partitions
from tests.bench.measure import NotComparableError
from tests.orchestration.features.lakes import raw_lake
from tests.servers import ROOT

Days = tuple[date, date]  # the second is not among them
YEAR: Days = (date(2013, 1, 1), date(2013, 12, 31))
MONTH: Days = (date(2013, 2, 1), date(2013, 3, 1))
ROWS = 300_000
ASKED_BEFORE_MIN = 600  # a flight is asked about at a random minute of this long before its request is due
VIEWS = ("tail_arrivals", "tail_departures")
FEATURES = tuple(feature for name in VIEWS for feature in BY_NAME[name].feature_names)
REDIS = "redis://127.0.0.1:1/0"  # Feast wants an address; joins do not touch it
_STORES = {"feast_duckdb": "duckdb", "feast_dask": "dask"}


def make_features(folder: Path, days: Days) -> float:
    """Raw partitions of `days` become features in `folder`/lake; returns the seconds that the features took."""
    raw_lake(folder / "lake", *days)
    began = time.perf_counter()
    write_features(folder / "lake", *days)
    return time.perf_counter() - began


def days_stated() -> int:
    """Days of the year's features."""
    return (YEAR[1] - YEAR[0]) // timedelta(days=1)


def entity_rows(folder: Path, days: Days, rows: int) -> pl.DataFrame:
    """What is to be joined, by time: id Int64, event_timestamp and tailnum of real flights, asked at random minutes."""
    flights = read_partitions(folder / "lake" / "raw" / "flights", *days).select("tailnum", "sched_dep")
    drawn, draw = flights.sample(rows, with_replacement=True, seed=3), Random(3)
    before = pl.Series([draw.randrange(ASKED_BEFORE_MIN) for _ in range(rows)]) * 60_000_000
    asked = drawn.select("tailnum", event_timestamp=pl.col("sched_dep") - LEAD - before.cast(pl.Duration("us")))
    return asked.with_row_index("id").with_columns(pl.col("id").cast(pl.Int64)).sort("event_timestamp", "id")


def join(target: str, folder: Path, days: Days, rows: int) -> tuple[float, int]:
    """Seconds from the stored files to the joined rows, and how many rows came out.

    They are left in `folder`/`target`.parquet, uncounted, as is the making of Feast's registry before.
    """
    asked = entity_rows(folder, days, rows)
    if target == "ours":
        began = time.perf_counter()
        views = {name: read_view(folder / "lake" / "features", name, *days) for name in VIEWS}
        joined = _joined(asked, views)
        seconds = time.perf_counter() - began
    else:
        store = _feast(target, folder)
        frame = asked.with_columns(pl.col("event_timestamp").dt.cast_time_unit("us")).to_pandas()
        names = [f"{name}:{feature}" for name in VIEWS for feature in BY_NAME[name].feature_names]
        began = time.perf_counter()
        found = store.get_historical_features(entity_df=frame, features=names).to_df()
        seconds = time.perf_counter() - began
        joined = pl.from_pandas(found)
    joined.select("id", *FEATURES).write_parquet(joined_path(folder, target))
    return seconds, joined.height


def _joined(asked: pl.DataFrame, views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    current = {name: positions(asked, views[name], BY_NAME[name]) for name in VIEWS}
    found = [views[name][feature].gather(current[name]) for name in VIEWS for feature in BY_NAME[name].feature_names]
    return asked.hstack(found)


def joined_path(folder: Path, target: str) -> Path:
    """Where `join` leaves its rows."""
    return folder / f"{target}.parquet"


def check(found: pl.DataFrame, reference: pl.DataFrame) -> None:
    """Raises NotComparableError where `found` has other rows or values than `reference`: `id` and the features of each."""
    ours, theirs = (_comparable(frame) for frame in (found, reference))
    if not ours["id"].equals(theirs["id"]):
        raise NotComparableError(f"{ours.height:,} rows where the reference has {theirs.height:,}, or other ones")
    for name in FEATURES:
        wrong = int((ours[name].ne_missing(theirs[name])).sum())
        if wrong:
            raise NotComparableError(f"{wrong:,} values of {name} are not the reference's")


def _comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """By id; pandas turns whole numbers with gaps into floats, exact up to 2**53, and null into NaN."""
    return frame.sort("id").select("id", pl.col(FEATURES).cast(pl.Float64).fill_nan(None))


def _feast(target: str, folder: Path) -> Any:
    import shutil

    repo = folder / target
    shutil.copytree(ROOT / "feature_repo", repo)
    configuration = repo / "feature_store.yaml"
    text = configuration.read_text().replace("type: duckdb", f"type: {_STORES[target]}")
    configuration.write_text(text)
    return apply(repo, folder, REDIS, f"sqlite:///{folder}/feast/{target}.sqlite")
