"""Reads feature views from Redis by the contract's layout: one HMGET per distinct entity key, all in one exchange.

Views of the same entities share a Redis hash, so one HMGET reads all of them.
"""

import struct
from array import array
from collections.abc import Sequence

from msgspec import Struct

from serving_gateway.contracts.model import ModelContract, stored_features
from serving_gateway.contracts.online_layout import (
    FeatureField,
    StoredValue,
    ValueType,
    ViewLayout,
    decode_timestamp,
    decode_value,
    entity_key,
)
from serving_gateway.contracts.prediction import ViewAge
from serving_gateway.online_connection import OnlineStore
from serving_gateway.online_wire import StoreLostError, command

_NUMBER = (float, int)
# What a value of each type is decoded to; a number may come in another number's bytes, as the vector is float32 anyway.
_DECODED: dict[ValueType, tuple[type, ...]] = {
    "string": (str,),
    "double_list": (array,),
    **dict.fromkeys(("int32", "int64", "double", "float", "unix_timestamp"), _NUMBER),
}


class FeaturesUnavailableError(Exception):
    """The online store did not answer, or holds what the contract does not describe (then it has `answered`)."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class ViewRow(Struct, frozen=True):
    """One view as read for one row. `values` is empty unless the view is present."""

    values: "dict[str, StoredValue | None]"
    age: ViewAge


class _View(Struct, frozen=True):
    layout: ViewLayout
    features: tuple[FeatureField, ...]
    at: int  # where its timestamp stands in the hash fields that are read; its features follow


class _EntityReads(Struct, frozen=True):
    join_keys: tuple[str, ...]
    fields: list[bytes]
    views: list[_View]


class _Stored(Struct, frozen=True):
    timestamp_s: float | None
    values: "dict[str, StoredValue | None]"


class OnlineFeatures:
    """Reads what one contract's inputs need."""

    def __init__(self, contract: ModelContract, store: OnlineStore) -> None:
        self._project = contract.project
        self._store = store
        self._reads = _plan(contract)
        #: What `read` would give for a row of which nothing is stored.
        self.missing = {
            view.layout.name: ViewRow({}, ViewAge(view=view.layout.name, status="missing"))
            for reads in self._reads
            for view in reads.views
        }

    async def read(self, rows: Sequence[tuple[dict[str, str], int]], deadline: float) -> list[dict[str, ViewRow]]:
        """Views by name for each (entities, event time in UTC microseconds), before `deadline` (event loop time).

        Raises FeaturesUnavailableError.
        """
        wanted: dict[tuple[int, bytes], None] = {}
        row_keys = []
        for entities, _ in rows:
            keys = [(at, self._key(reads, entities)) for at, reads in enumerate(self._reads)]
            wanted.update(dict.fromkeys(keys))
            row_keys.append(keys)
        found = dict(zip(wanted, await self._fetch(list(wanted), deadline), strict=True))
        return [
            {
                view.layout.name: _aged(view.layout, stored, event_time_us / 1e6)
                for at, key in keys
                for view, stored in zip(self._reads[at].views, found[at, key], strict=True)
            }
            for (_, event_time_us), keys in zip(rows, row_keys, strict=True)
        ]

    def _key(self, reads: _EntityReads, entities: dict[str, str]) -> bytes:
        return entity_key(self._project, reads.join_keys, tuple(entities[name] for name in reads.join_keys))

    async def _fetch(self, wanted: list[tuple[int, bytes]], deadline: float) -> list[list[_Stored]]:
        if not wanted:
            return []
        commands = [command(b"HMGET", key, *self._reads[at].fields) for at, key in wanted]
        try:
            replies = await self._store.read([key for _, key in wanted], commands, deadline)
        except TimeoutError as error:
            raise FeaturesUnavailableError("the online store does not answer in time") from error
        except StoreLostError as error:
            raise FeaturesUnavailableError(
                f"the online store does not answer: {error}", answered=error.answered
            ) from error
        return [
            [_stored(view, reply) for view in self._reads[at].views]
            for (at, _), reply in zip(wanted, replies, strict=True)
        ]


def _plan(contract: ModelContract) -> list[_EntityReads]:
    used = dict.fromkeys(pair for i in contract.inputs for pair in stored_features(i.source))
    by_keys: dict[tuple[str, ...], _EntityReads] = {}
    for layout in contract.views:
        needed = [f for f in layout.features if (layout.name, f.name) in used]
        if not needed:
            continue
        reads = by_keys.setdefault(layout.join_keys, _EntityReads(layout.join_keys, [], []))
        reads.views.append(_View(layout, tuple(needed), len(reads.fields)))
        reads.fields.extend([layout.timestamp_field, *(bytes.fromhex(f.field) for f in needed)])
    return list(by_keys.values())


def _stored(view: _View, reply: list[bytes | None]) -> _Stored:
    encoded = reply[view.at + 1 : view.at + 1 + len(view.features)]
    try:
        timestamp = decode_timestamp(reply[view.at])
        values = {f.name: _decoded(f, data) for f, data in zip(view.features, encoded, strict=True)}
    except (ValueError, IndexError, struct.error) as error:
        raise FeaturesUnavailableError(
            f"view {view.layout.name} holds unreadable values: {error}", answered=True
        ) from error
    return _Stored(timestamp, values)


def _decoded(feature: FeatureField, data: bytes | None) -> "StoredValue | None":
    value = decode_value(data)
    if value is not None and type(value) not in _DECODED[feature.dtype]:
        raise ValueError(f"{feature.name} is not a {feature.dtype}: {value!r}")
    return value


def _aged(layout: ViewLayout, stored: _Stored, event_time_s: float) -> ViewRow:
    if stored.timestamp_s is None:
        return ViewRow({}, ViewAge(view=layout.name, status="missing"))
    age = event_time_s - stored.timestamp_s
    if layout.ttl_s and age > layout.ttl_s:
        return ViewRow({}, ViewAge(view=layout.name, status="expired", age_s=age))
    return ViewRow(stored.values, ViewAge(view=layout.name, status="present", age_s=age))
