"""Events for the updater's tests, and what the online store must hold after them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import mmh3
import polars as pl

from orchestration.features.compute import compute_views
from orchestration.features.live.affected import Affected, Key
from orchestration.features.live.base import Base
from orchestration.features.live.events import Arrival, Departure, Event, Scheduled, Weather, instant, micros
from orchestration.features.live.history import History, Row
from orchestration.features.live.state import State
from orchestration.features.views import BY_NAME, VIEWS, DType
from serving_gateway.contracts.online_layout import FeatureField, ValueType, ViewLayout
from tests.orchestration.features.reference import START, random_flights, random_weather

# The synthetic days begin here; with three of them every row is in these partitions.
FIRST, DAYS = START.date(), 3
_TYPES: dict[DType, ValueType] = {"float32": "float", "int64": "int64", "instants": "double_list"}
Rows = dict[tuple[str, tuple[str, ...]], tuple[Any, ...]]


def layouts() -> tuple[ViewLayout, ...]:
    """The layout that Feast exports, without Feast, which takes seconds to import."""
    return tuple(
        ViewLayout(
            name=view.name,
            join_keys=tuple(sorted(view.join_keys)),
            features=tuple(
                FeatureField(name=name, field=_field(f"{view.name}:{name}"), dtype=_TYPES[dtype])
                for name, dtype in sorted(view.features)
            ),
            ttl_s=view.ttl_s,
        )
        for view in sorted(VIEWS, key=lambda view: view.name)
    )


def synthetic(seed: int, *, n: int = 250, days: int = DAYS) -> tuple[pl.DataFrame, pl.DataFrame, list[Event]]:
    """Random flights and weather, and their events in the order of their time."""
    flights, weather = random_flights(seed, n=n, days=days), random_weather(seed, days=days)
    return flights, weather, events_of(flights, weather)


def events_of(flights: pl.DataFrame, weather: pl.DataFrame) -> list[Event]:
    """Everything that tidy flights and weather tell, in the order of its time."""
    found: list[Event] = []
    for row in flights.iter_rows(named=True):
        told = {name: row[name] for name in ("request_id", "carrier", "origin", "dest", "tailnum", "sched_dep")}
        found.append(Scheduled(**told))
        if row["dep"] is not None:
            found.append(Departure(**told, at=row["dep"], delay=row["dep_delay"]))
        if row["arr"] is not None:
            found.append(Arrival(**told, at=row["arr"], delay=row["arr_delay"]))
    names = ("origin", "time_hour", "precip", "pressure", "visib", "wind_speed")
    found += [Weather(**{name: row[name] for name in names}) for row in weather.iter_rows(named=True)]
    return sorted(found, key=lambda event: event.event_time)


def last_moment(events: Iterable[Event]) -> datetime:
    """Where the watermark is after these events."""
    return max(event.event_time for event in events if not isinstance(event, Scheduled | Weather))


def batch_rows(
    flights: pl.DataFrame, weather: pl.DataFrame, at: datetime, *, first: date = FIRST, days: int = DAYS + 2
) -> Rows:
    """The row that batch computation leaves each key at `at`."""
    views = compute_views(flights, weather, first, first + timedelta(days=days))
    return {
        key: row
        for name, frame in views.items()
        for key, row in rows_of(name, frame.filter(pl.col("event_timestamp") <= at).sort("event_timestamp")).items()
    }


def rows_of(name: str, frame: pl.DataFrame) -> Rows:
    """(view, key) to the last row of the key, its instant first, lists as tuples."""
    keys = BY_NAME[name].join_keys
    columns = ("event_timestamp", *BY_NAME[name].feature_names)
    return {
        (name, tuple(row[key] for key in keys)): tuple(
            tuple(value) if isinstance(value, list) else value for value in (row[column] for column in columns)
        )
        for row in frame.iter_rows(named=True)
    }


def empty_state(*, as_of: datetime = START - timedelta(days=1)) -> State:
    """Nothing known before `as_of`."""
    base = Base(id="base", as_of_us=micros(as_of), position="0-0", set_at_us=1, rewind=True)
    return State(base, History(), as_of, "0-0")


def told(rows: Rows, state: State, affected: Affected) -> None:
    """What the store holds after these keys were written."""
    latest = state.history.latest(state.watermark, affected)
    for view, keys in affected.items():
        for key in keys:
            rows.pop((view, key), None)
        rows.update(latest_of(view, latest[view]))


def latest_of(view: str, latest: Mapping[Key, Row]) -> Rows:
    """Rows of a history in the form of `rows_of`."""
    return {
        (view, key): (instant(row.at_us), *(tuple(v) if isinstance(v, list) else v for v in row.values))
        for key, row in latest.items()
    }


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _field(name: str) -> str:
    """Feast's hash of a field: murmur3, little-endian."""
    return mmh3.hash(name, signed=False).to_bytes(4, "little").hex()
