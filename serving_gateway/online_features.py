"""Reads feature views from Redis by the contract's layout: one HMGET per distinct entity key, all in one exchange.

Views of the same entities share a Redis hash, so one HMGET reads all of them.
"""

import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TypeAlias

from msgspec import Struct

from serving_gateway.contracts.model import ModelContract, stored_features
from serving_gateway.contracts.online_layout import (
    GLOBAL_VALUES,
    FeatureField,
    StoredValue,
    ValueType,
    ViewLayout,
    decode_timestamp,
    decode_value,
    key_prefix,
    key_value,
)
from serving_gateway.contracts.prediction import ViewAge
from serving_gateway.online_connection import OnlineStore
from serving_gateway.online_wire import StoreLostError, command

REMEMBERED = 4096  # keys of one kind of entity
_NUMBER = (float, int)
# What a value of each type is decoded to; a number may come in another number's bytes, as the vector is float32 anyway.
_DECODED: dict[ValueType, tuple[type, ...]] = {
    "string": (str,),
    "double_list": (array,),
    **dict.fromkeys(("int32", "int64", "double", "float", "unix_timestamp"), _NUMBER),
}
_Picked = str | tuple[str, ...]
# timestamp in UTC seconds since the epoch, values by feature
_Stored: TypeAlias = "tuple[float | None, dict[str, StoredValue | None]]"


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
    name: str
    ttl_s: int
    features: tuple[tuple[str, ValueType], ...]
    at: int  # where its timestamp stands in the hash fields that are read; its features follow
    missing: ViewRow


class _Known(Struct):
    """What was made of one key: its command, and what its last reply held."""

    key: bytes
    hmget: bytes
    reply: list[bytes | None] | None = None
    stored: "list[_Stored]" = []


class _EntityReads:
    """The views of the same entities: one hash a key, one HMGET. What is the same for every key is encoded once.

    Keys come again, and mostly with the same bytes: of up to REMEMBERED keys the command and the decoded reply are kept.
    """

    def __init__(self, project: str, join_keys: tuple[str, ...]) -> None:
        self.views: list[_View] = []
        self._fields: list[bytes] = []
        self._project = project.encode()
        self._prefix = key_prefix(join_keys)
        self._before = self._after = b""
        self._known: OrderedDict[_Picked, _Known] = OrderedDict()
        #: The request's entities that are the key: one value, or a tuple of several in the order of the join keys.
        self.pick: Callable[[dict[str, str]], _Picked] = (
            itemgetter(*join_keys) if join_keys else lambda _: GLOBAL_VALUES
        )

    def add(self, layout: ViewLayout, features: tuple[FeatureField, ...]) -> None:
        """Read `features` of this view too."""
        missing = ViewRow({}, ViewAge(view=layout.name, status="missing"))
        named = tuple((f.name, f.dtype) for f in features)
        self.views.append(_View(layout.name, layout.ttl_s, named, len(self._fields), missing))
        self._fields += [layout.timestamp_field, *(bytes.fromhex(f.field) for f in features)]
        # HMGET <key> <fields>, cut where the key stands
        self._before, self._after = command(b"HMGET", b"", *self._fields).split(b"$0\r\n\r\n", 1)

    def asked(self, picked: _Picked) -> _Known:
        """Redis key of what `pick` gave, and the command that reads all fields of all views of it."""
        known = self._known.get(picked)
        if known is None:
            values = key_value(picked) if isinstance(picked, str) else b"".join(map(key_value, picked))
            key = self._prefix + values + self._project
            known = _Known(key, b"%b$%d\r\n%b\r\n%b" % (self._before, len(key), key, self._after))
            if len(self._known) >= REMEMBERED:  # callers choose the keys: no crowd of them may fill memory
                self._known.popitem(last=False)
            self._known[picked] = known
        return known

    def stored(self, known: _Known, reply: list[bytes | None]) -> list[_Stored]:
        """What the reply holds of each view. Raises FeaturesUnavailableError."""
        if known.reply != reply:
            known.stored = [_stored(view, reply) for view in self.views]
            known.reply = reply
        return known.stored

    def aged(self, stored: list[_Stored], event_time_us: int) -> dict[str, ViewRow]:
        """The views by name as they are at an event time."""
        now_s, rows = event_time_us / 1e6, {}
        for view, (timestamp_s, values) in zip(self.views, stored, strict=True):
            if timestamp_s is None:
                rows[view.name] = view.missing
                continue
            age_s = now_s - timestamp_s
            if view.ttl_s and age_s > view.ttl_s:
                rows[view.name] = ViewRow({}, ViewAge(view=view.name, status="expired", age_s=age_s))
            else:
                rows[view.name] = ViewRow(values, ViewAge(view=view.name, status="present", age_s=age_s))
        return rows


class OnlineFeatures:
    """Reads what one contract's inputs need."""

    def __init__(self, contract: ModelContract, store: OnlineStore) -> None:
        self._store = store
        self._reads = _plan(contract)
        #: What `read` would give for a row of which nothing is stored.
        self.missing = {view.name: view.missing for reads in self._reads for view in reads.views}

    async def read(self, rows: Sequence[tuple[dict[str, str], int]], deadline: float) -> list[dict[str, ViewRow]]:
        """Views by name for each (entities, event time in UTC microseconds), before `deadline` (event loop time).

        A key that many rows share is read and decoded once. Raises FeaturesUnavailableError.
        """
        picked = [[reads.pick(entities) for entities, _ in rows] for reads in self._reads]
        distinct = [dict.fromkeys(of_rows) for of_rows in picked]
        asked = [reads.asked(one) for reads, keys in zip(self._reads, distinct, strict=True) for one in keys]
        replies = zip(asked, await self._fetch(asked, deadline), strict=True)
        found: list[dict[str, ViewRow]] = [{} for _ in rows]
        for reads, keys, of_rows in zip(self._reads, distinct, picked, strict=True):
            stored = {one: reads.stored(*next(replies)) for one in keys}
            aged: dict[_Picked, tuple[int, dict[str, ViewRow]]] = {}  # the last event time of each key, and its views
            for views, one, (_, event_time_us) in zip(found, of_rows, rows, strict=True):
                known = aged.get(one)
                if known is None or known[0] != event_time_us:
                    known = aged[one] = event_time_us, reads.aged(stored[one], event_time_us)
                views.update(known[1])
        return found

    async def _fetch(self, asked: list[_Known], deadline: float) -> list[list[bytes | None]]:
        if not asked:
            return []
        keys, commands = [known.key for known in asked], [known.hmget for known in asked]
        try:
            return await self._store.read(keys, commands, deadline)
        except TimeoutError as error:
            raise FeaturesUnavailableError("the online store does not answer in time") from error
        except StoreLostError as error:
            raise FeaturesUnavailableError(
                f"the online store does not answer: {error}", answered=error.answered
            ) from error


def _plan(contract: ModelContract) -> list[_EntityReads]:
    used = dict.fromkeys(pair for i in contract.inputs for pair in stored_features(i.source))
    by_keys: dict[tuple[str, ...], _EntityReads] = {}
    for layout in contract.views:
        needed = [f for f in layout.features if (layout.name, f.name) in used]
        if not needed:
            continue
        reads = by_keys.setdefault(layout.join_keys, _EntityReads(contract.project, layout.join_keys))
        reads.add(layout, tuple(needed))
    return list(by_keys.values())


def _stored(view: _View, reply: list[bytes | None]) -> _Stored:
    at = view.at
    values: dict[str, StoredValue | None] = {}
    try:
        timestamp_s = decode_timestamp(reply[at])
        for name, dtype in view.features:
            at += 1
            value = values[name] = decode_value(reply[at])
            if value is not None and type(value) not in _DECODED[dtype]:
                raise ValueError(f"{name} is not a {dtype}: {value!r}")  # noqa: TRY301
    except (ValueError, IndexError, struct.error) as error:
        raise FeaturesUnavailableError(f"view {view.name} holds unreadable values: {error}", answered=True) from error
    return timestamp_s, values
