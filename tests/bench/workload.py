"""What every target is asked to score: real flights of early 2013, and the shipped recipe's model trained on them.

Made from the installed tables in seconds, so that the benchmark needs no lake: the platform's own functions compute
features and training rows, and its recipe trains at its shipped size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray

from orchestration.features.compute import compute_views
from orchestration.features.inputs import model_inputs, vectors, vocabularies
from orchestration.features.point_in_time import inputs_at
from orchestration.features.training import ENTITIES, training_rows
from orchestration.features.views import VIEWS, View, view_window
from orchestration.ingestion.partitions import midnight
from orchestration.ingestion.source import read_airports_table, read_flights_table, read_weather_table
from orchestration.ingestion.tidy import FLIGHT_COLUMNS, WEATHER_COLUMNS, tidy_flights, tidy_weather
from orchestration.training.contract import build_contract
from orchestration.training.lightgbm_recipe import fit
from orchestration.training.onnx_model import score
from orchestration.training.recipe import window
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout

START, END = date(2013, 1, 1), date(2013, 4, 1)
REQUESTS, FEWEST_KEYS = 20_000, 10_000
# The event clock while the benchmark runs; what is stored is a minute old then.
CLOCK = datetime(2013, 4, 1, 12, tzinfo=UTC)
_DTYPES = {"float32": "float", "int64": "int64", "instants": "double_list"}


@dataclass(frozen=True)
class Workload:
    """`requests` has a row a request, its entities distinct; scores are ONNX Runtime's, float32 [n].

    `stored` is what the online store holds of each view, by name. `scores` are of the features that `requests` has,
    `stored_scores` of the same request fields with the features in `stored`.
    """

    contract: ModelContract
    onnx: bytes
    requests: pl.DataFrame
    vectors: NDArray[np.float32]
    scores: NDArray[np.float32]
    stored: Mapping[str, pl.DataFrame]
    stored_scores: NDArray[np.float32]


def workload(end: date = END) -> Workload:
    """Train on the flights from START to `end`, and take requests from among them."""
    rows, views = _tables(end)
    inputs = model_inputs(vocabularies(rows))
    first, last = view_window(START, end)
    onnx = fit(window(rows, inputs, start=first, end=last), inputs).onnx
    contract = build_contract(
        onnx,
        version="1",
        run_id="0" * 32,
        inputs=inputs,
        views=[_layout(view) for view in VIEWS],
        training_start=midnight(START),
        training_end=midnight(end),
    )
    asked = rows.unique(ENTITIES, keep="last", maintain_order=True).sample(fraction=1, shuffle=True, seed=2013)
    asked = asked.head(REQUESTS)
    if asked.height < FEWEST_KEYS:
        raise ValueError(f"{asked.height} routing keys are too few to measure a split: take more days")
    stored = {view.name: _stored(views[view.name], view, end) for view in VIEWS}
    made = vectors(asked, inputs)
    now = asked.with_columns(event_timestamp=pl.lit(CLOCK, pl.Datetime("us", "UTC")))
    by_entities = vectors(inputs_at(now, stored, inputs), inputs)
    return Workload(contract, onnx, asked, made, score(onnx, made), stored, score(onnx, by_entities))


def _tables(end: date) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Training rows and feature views of the days [START, end)."""
    flights = tidy_flights(read_flights_table(), read_airports_table()).select(FLIGHT_COLUMNS)
    flights = flights.filter(pl.col("sched_dep").is_between(midnight(START), midnight(end), closed="left"))
    weather = tidy_weather(read_weather_table()).select(WEATHER_COLUMNS)
    views = compute_views(flights, weather, START, end)
    return training_rows(flights, views), views


def _stored(rows: pl.DataFrame, view: View, end: date) -> pl.DataFrame:
    """The view's last row of each entity in a busy hour of the last day, moved to a minute before CLOCK."""
    keys = list(view.join_keys)
    taken, at = midnight(end) - timedelta(hours=3), CLOCK - timedelta(minutes=1)
    known = rows.filter(pl.col("event_timestamp") <= taken)
    latest = known.unique(keys, keep="last", maintain_order=True) if keys else known.tail(1)
    later = (at - taken).total_seconds()
    moved = {"int64": lambda c: c + int(later), "instants": lambda c: c.list.eval(pl.element() + later)}
    instants = [moved[dtype](pl.col(name)) for name, dtype in view.features if dtype in moved]
    return latest.with_columns(*instants, event_timestamp=pl.lit(at, pl.Datetime("us", "UTC")))


def _layout(view: View) -> ViewLayout:
    """Feast's layout but for the fields' names: any four bytes cost the same, and Feast takes seconds to import."""
    fields = tuple(
        FeatureField(name=name, field=_field(f"{view.name}:{name}"), dtype=_DTYPES[dtype])  # type: ignore[arg-type]
        for name, dtype in view.features
    )
    return ViewLayout(name=view.name, join_keys=tuple(sorted(view.join_keys)), features=fields, ttl_s=view.ttl_s)


def _field(name: str) -> str:
    return crc32(name.encode()).to_bytes(4, "little").hex()
