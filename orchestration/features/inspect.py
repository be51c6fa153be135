"""python -m orchestration.features.inspect: what the online store holds for an entity, and how old it is."""

import argparse
import json
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec
import redis

from orchestration.console import table_console
from orchestration.event_clock import event_now
from orchestration.features.layout import read_layouts
from orchestration.features.online import OnlineRow, read_online
from orchestration.features.store import online_client
from orchestration.features.views import PROJECT, VIEWS
from orchestration.settings import Settings
from serving_gateway.contracts.online_layout import Scalar, ViewLayout
from serving_gateway.control.store import RolloutStore

State = Literal["fresh", "expired", "missing", "null"]

ENTITIES = tuple(dict.fromkeys(key for view in VIEWS for key in view.join_keys))


@dataclass(frozen=True)
class StoredFeature:
    """One feature as a gateway would find it now. `age_s`: event clock minus `event_time`; `ttl_s` 0 means no limit.

    `state`: `missing` where the view has no row for the entity, `expired` where the row is older than its TTL, `null`
    where the row holds no value. The model sees NaN in each of these.
    """

    view: str
    entity: str
    feature: str
    value: Scalar | list[float] | None
    event_time: str | None
    age_s: float | None
    ttl_s: int
    state: State


class NoLayoutError(Exception):
    """The layout of the online store was not exported, or is unreadable; the message says what to do."""


def inspect(
    client: "redis.Redis", layouts: Sequence[ViewLayout], entities: Mapping[str, str], now: datetime
) -> list[StoredFeature]:
    """Every feature of the views whose join keys are all in `entities`, with its age at the event time `now`.

    Raises redis.RedisError, and ValueError naming the view that holds unreadable values.
    """
    found = []
    for layout in layouts:
        if set(layout.join_keys) <= set(entities):
            values = tuple(entities[key] for key in layout.join_keys)
            try:
                (row,) = read_online(client, PROJECT, layout, [values])
            except (ValueError, IndexError, struct.error) as error:
                raise ValueError(f"view {layout.name} holds unreadable values for {values}: {error}") from error
            found += list(_features(layout, ", ".join(values), row, now))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit 0 with the features, 2 with the reason why they cannot be shown."""
    options = _parser().parse_args(arguments)
    entities = {key: value for key in ENTITIES if (value := getattr(options, key)) is not None}
    try:
        settings = Settings.load()
        layouts = _layouts(settings)
        client = redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2)
        now = event_now(settings, RolloutStore(client))
        online = online_client(settings.features_redis_url, timeout_s=2)
        found = inspect(online, layouts, entities, now)
    except redis.RedisError as error:
        print(f"inspect: Redis cannot be read (FEATURES_REDIS_URL, REDIS_URL, REDIS_PORT): {error}", file=sys.stderr)
        return 2
    except (NoLayoutError, ValueError) as error:
        print(f"inspect: {error}", file=sys.stderr)
        return 2
    left_out = [layout.name for layout in layouts if not set(layout.join_keys) <= set(entities)]
    if options.json:
        document = {"event_clock": now.isoformat(), "features": [asdict(f) for f in found], "not_asked": left_out}
        print(json.dumps(document, indent=2))
    else:
        _show(found, now, left_out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.features.inspect",
        description="The features of an entity in the online store, with their ages against the event clock. "
        "Views whose keys are not all given are left out; views without keys are always shown.",
    )
    for key in ENTITIES:
        parser.add_argument(f"--{key}", type=_value, help=f"{key} of the entity")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    return parser


def _value(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _layouts(settings: Settings) -> tuple[ViewLayout, ...]:
    path = settings.feature_layout
    try:
        return read_layouts(path)
    except FileNotFoundError:
        raise NoLayoutError(
            f"{path} is not there: materialize feature_registry (job materialize_online), or set PLATFORM_HOME"
        ) from None
    except (OSError, msgspec.DecodeError) as error:
        raise NoLayoutError(f"{path} is unreadable ({error}): materialize feature_registry again") from error


def _features(layout: ViewLayout, entity: str, row: OnlineRow | None, now: datetime) -> Iterator[StoredFeature]:
    time = None if row is None else datetime.fromtimestamp(row.event_time_s, UTC)
    age_s = None if time is None else (now - time).total_seconds()
    for feature in layout.features:
        stored = None if row is None else row.values[feature.name]
        value = stored.tolist() if isinstance(stored, array) else stored
        yield StoredFeature(
            view=layout.name,
            entity=entity,
            feature=feature.name,
            value=value,
            event_time=None if time is None else time.isoformat(),
            age_s=age_s,
            ttl_s=layout.ttl_s,
            state=_state(age_s, layout.ttl_s, value),
        )


def _state(age_s: float | None, ttl_s: int, value: Scalar | list[float] | None) -> State:
    if age_s is None:
        return "missing"
    if ttl_s and age_s > ttl_s:
        return "expired"
    return "null" if value is None else "fresh"


def _show(found: Sequence[StoredFeature], now: datetime, left_out: Sequence[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    colours = {"fresh": "green", "expired": "yellow", "missing": "red", "null": "yellow"}
    console = table_console()
    console.print(f"Event clock {now.isoformat(timespec='seconds')}")
    table = Table("view", "entity", "feature", "value", "event time", "age", "ttl", "state")
    for f in found:
        age = "" if f.age_s is None else f"{f.age_s / 60:.1f} min"
        state = f"[{colours[f.state]}]{f.state}[/]"
        row = (f.view, f.entity, f.feature, _shown(f.value), (f.event_time or "")[:19], age, f"{f.ttl_s / 60:g} min")
        table.add_row(*map(escape, row), state)
    console.print(table)
    if left_out:
        console.print(f"Not shown, for their keys were not all given: {', '.join(left_out)}")


def _shown(value: Scalar | list[float] | None) -> str:
    if isinstance(value, list):
        return f"{len(value)} instants" + (f", last {datetime.fromtimestamp(value[-1], UTC):%H:%M}" if value else "")
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
