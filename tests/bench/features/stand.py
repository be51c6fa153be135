"""What every reader of the benchmark reads: two real days of features in a real Redis, applied and materialized by Feast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from orchestration.features.compute import write_features
from orchestration.features.layout import view_layouts
from orchestration.features.store import apply, materialize
from orchestration.features.training import ENTITIES
from orchestration.features.views import FEATURE_SERVICE
from orchestration.ingestion.partitions import read_partitions
from tests.feature_contracts import contract_over
from tests.orchestration.features.lakes import raw_lake
from tests.servers import ROOT, redis_server

REPO = ROOT / "feature_repo"
START, END = date(2013, 2, 4), date(2013, 2, 6)
NOW = datetime(2013, 2, 5, 17, 30, tzinfo=UTC)
KEYS = 2000
SAMPLE = 64  # entities whose answers are compared before a reader is timed
Entities = dict[str, str]
Answer = dict[str, str | int | float | None]  # values by feature


@dataclass(frozen=True)
class Stand:
    """`home` is Feast's PLATFORM_HOME, `redis` the online store's address; the contract reads all nine views.

    `expected`: what `get_online_features` answers for the first SAMPLE entities.
    """

    home: Path
    redis: str
    contract: bytes
    entities: list[Entities]
    expected: list[Answer]


@contextmanager
def stand(folder: Path) -> Iterator[Stand]:
    """Compute, apply, materialize; Redis runs until the block ends."""
    raw_lake(folder / "lake", START, END)
    write_features(folder / "lake", START, END)
    with redis_server(folder) as redis:
        store = apply(REPO, folder, redis.url)
        materialize(store, NOW)
        contract = contract_over(view_layouts(store))
        flights = read_partitions(folder / "lake" / "raw" / "flights", START, END).select(ENTITIES)
        entities = Random(7).choices(flights.drop_nulls().to_dicts(), k=KEYS)
        service = store.get_feature_service(FEATURE_SERVICE)
        answer = store.get_online_features(features=service, entity_rows=entities[:SAMPLE])
        yield Stand(folder, redis.url, msgspec.json.encode(contract), entities, rows_of(answer.to_dict()))


def rows_of(columns: dict[str, list[Any]]) -> list[Answer]:
    """Feast's answer, entities left out, as a row each."""
    names = [name for name in columns if name not in ENTITIES]
    return [dict(zip(names, row, strict=True)) for row in zip(*(columns[name] for name in names), strict=True)]
