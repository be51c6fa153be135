"""A logged day: real requests, answered by the gateway's own evaluator from what a writer, right or wrong, left online."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.features.compute import write_features
from orchestration.features.inputs import model_inputs, vocabularies
from orchestration.features.training import ENTITIES, REQUEST_FIELDS, read_training, write_training
from orchestration.features.views import VIEWS, View, view_window
from orchestration.ingestion.partitions import read_partitions
from orchestration.ingestion.predictions import PREDICTION_SCHEMA, _prediction_row, _write
from orchestration.training.contract import build_contract
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout
from serving_gateway.contracts.prediction import PredictionRecord, ViewAge
from serving_gateway.online_features import ViewRow
from serving_gateway.vectors import Vectors
from tests.orchestration.features.lakes import raw_lake

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
START, TODAY = date(2013, 2, 12), date(2013, 2, 13)
DTYPES = {"float32": "float", "int64": "int64", "instants": "double_list"}
Writer = Callable[[str, pl.DataFrame], pl.DataFrame]
Record = PredictionRecord


def two_days(lake: Path) -> None:
    raw_lake(lake, START, TODAY + DAY)
    write_features(lake, START, TODAY + DAY)
    write_training(lake, START, TODAY + DAY)


def requests(lake: Path) -> pl.DataFrame:
    """Every second flight of TODAY."""
    return read_training(lake / "training", TODAY, TODAY + DAY).sort("event_timestamp", "request_id").gather_every(2)


def contract_of(lake: Path) -> ModelContract:
    start, end = view_window(START, TODAY)
    return build_contract(
        b"", version="1", run_id="0", inputs=model_inputs(vocabularies(requests(lake))),
        views=[layout(view) for view in VIEWS], training_start=start, training_end=end,
    )  # fmt: skip


def layout(view: View) -> ViewLayout:
    """Without Feast's hashes: nothing is read from Redis here."""
    fields = tuple(FeatureField(name=n, field="00000000", dtype=DTYPES[dtype]) for n, dtype in view.features)  # type: ignore[arg-type]
    return ViewLayout(name=view.name, join_keys=tuple(sorted(view.join_keys)), features=fields, ttl_s=view.ttl_s)


Rows = dict[tuple[str, ...], list[tuple[datetime, datetime, dict[str, Any]]]]


@cache
def _written(lake: Path, view: View, writer: Writer | None) -> Rows:
    """By entity: when each row was written, its event time and its values, in the order of writing."""
    rows = read_partitions(lake / "features" / view.name, START, TODAY + DAY)
    rows = writer(view.name, rows) if writer else rows
    if "applied_at" not in rows.columns:
        rows = rows.with_columns(applied_at="event_timestamp")
    found: Rows = {}
    for row in rows.sort("applied_at", maintain_order=True).iter_rows(named=True):
        key = tuple(row[name] for name in sorted(view.join_keys))
        values = {name: row[name] for name in view.feature_names}
        found.setdefault(key, []).append((row["applied_at"], row["event_timestamp"], values))
    return found


class Online:
    """The online store over a day: at each instant a view's newest row of an entity, as the writer wrote it."""

    def __init__(self, lake: Path, writer: Writer) -> None:
        self._rows = {view.name: self._of(lake.resolve(), view, writer) for view in VIEWS}

    def _of(self, lake: Path, view: View, writer: Writer) -> Rows:
        real = (lake / "features" / view.name).resolve().parents[1]
        rows = read_partitions(real / "features" / view.name, START, TODAY + DAY)
        return _written(real, view, None if writer(view.name, rows) is rows else writer)

    def read(self, layouts: Iterable[ViewLayout], entities: Mapping[str, str], at: datetime) -> dict[str, ViewRow]:
        found = {}
        for of in layouts:
            rows = self._rows[of.name].get(tuple(entities[key] for key in of.join_keys), [])
            newest = bisect_right(rows, at, key=lambda row: row[0]) - 1
            if newest < 0:
                found[of.name] = ViewRow({}, ViewAge(view=of.name, status="missing"))
                continue
            _, stamp, values = rows[newest]
            age_s = (at - stamp).total_seconds()
            fresh = age_s <= of.ttl_s
            age = ViewAge(view=of.name, status="present" if fresh else "expired", age_s=age_s)
            found[of.name] = ViewRow(values if fresh else {}, age)
        return found


def served_as_written(view: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows


def answered(
    lake: Path, contract: ModelContract, writer: Writer = served_as_written, *, after: timedelta = timedelta(0)
) -> list[Record]:
    """A record for each request, made an hour before the flight's departure, or so long `after` that."""
    online, vectors, digest = Online(lake, writer), Vectors(contract), contract.digest
    records = []
    for n, row in enumerate(requests(lake).iter_rows(named=True)):
        entities = {name: row[name] or "" for name in ENTITIES}
        fields = {name: row[name] for name in (*ENTITIES, *REQUEST_FIELDS)}
        at: datetime = row["event_timestamp"] + after
        views = online.read(contract.views, entities, at)
        at_us = (at - EPOCH) // timedelta(microseconds=1)
        vector = vectors.from_request(fields, {name: found.values for name, found in views.items()}, at_us)
        records.append(
            Record(
                prediction_id=f"p{n:05}", request_id=row["request_id"], event_time_us=at_us, served_at_us=at_us,
                arm="baseline", model="m", model_version="1", triton_model="m_v1", contract_digest=digest, epoch=1,
                generation=1, entities=entities, vector=vector.tolist(), views=[found.age for found in views.values()],
                score=0.5, decision=True, latency_us=1,
            )
        )  # fmt: skip
    return records


def log(lake: Path, records: Iterable[Record]) -> None:
    """As the landing writes them."""
    frame = pl.DataFrame([_prediction_row(record) for record in records], schema=PREDICTION_SCHEMA)
    _write(frame, lake / "predictions", "1.parquet", day=pl.col("event_time").dt.date())


def beside(lake: Path, home: Path) -> Path:
    """A lake with the same features and no predictions."""
    mine = home / "lake"
    (mine / "features").mkdir(parents=True)
    for view in VIEWS:
        (mine / "features" / view.name).symlink_to(lake / "features" / view.name)
    for name in ("raw", "training"):
        (mine / name).symlink_to(lake / name)
    return mine


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
