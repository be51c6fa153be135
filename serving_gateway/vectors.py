"""A row's input vector, made by the contract: the scalar evaluator of what training computes in columns.

Its twin is orchestration/features/point_in_time.py; a property test holds them equal.
"""

import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from math import nan
from typing import Any, TypeAlias

from serving_gateway.contracts.model import (
    CountWithin,
    Feature,
    Input,
    MinutesSince,
    ModelContract,
    RequestField,
    ShareWithin,
    Source,
    stored_features,
)
from serving_gateway.contracts.online_layout import StoredValue
from serving_gateway.parsing import ContractError, Value

Views: TypeAlias = (
    "Mapping[str, Mapping[str, StoredValue | None]]"  # view -> feature -> value; an expired or missing view is empty
)
_Reader = Callable[[Mapping[str, Value], Views, float], Value]


class Vectors:
    """Makes vectors for one contract. Raises ContractError where its parts do not fit together."""

    def __init__(self, contract: ModelContract) -> None:
        stored = {view.name: {f.name: f.dtype for f in view.features} for view in contract.views}
        for i in contract.inputs:
            _check(i, stored)
        self._indexes = [(at, _index(i)) for at, i in enumerate(contract.inputs) if i.dtype == "category"]
        self._readers = [_reader(i.source) for i in contract.inputs]

    def from_given(self, values: Iterable[Value]) -> "array[float]":
        """float32 vector of the inputs' own values, in the contract's order."""
        row = [nan if value is None else value for value in values]
        for at, index in self._indexes:
            row[at] = index.get(row[at], nan)
        return array("f", row)  # type: ignore[arg-type]  # what is a string stands in the row of indexes

    def from_request(self, fields: Mapping[str, Value], views: Views, event_time_us: int) -> "array[float]":
        """float32 vector of request fields and stored features at an event time (UTC microseconds)."""
        now = event_time_us / 1e6
        return self.from_given(read(fields, views, now) for read in self._readers)


def packed(vector: "array[float]") -> bytes:
    """The vector as Triton takes it: little-endian float32."""
    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    return vector.tobytes()


def unpacked(data: bytes) -> "array[float]":
    """The vector that was packed as `data`."""
    vector = array("f")
    vector.frombytes(data)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def _index(i: Input) -> dict[Value, float]:
    return {value: float(at) for at, value in enumerate(i.vocabulary)}


def _reader(source: Source) -> _Reader:
    match source:
        case RequestField(field=field):
            return lambda fields, _views, _now: fields[field]
        case Feature(view=view, feature=feature):
            return lambda _fields, views, _now: views[view].get(feature)  # type: ignore[return-value]  # checked: no list
        case MinutesSince(view=view, feature=feature):
            return lambda _fields, views, now: _minutes_since(views[view].get(feature), now)
        case CountWithin():
            view, feature = source.view, source.feature
            return lambda _fields, views, now: _count(views[view].get(feature), now, source)
        case ShareWithin():
            return lambda _fields, views, now: _share(views[source.view], now, source)


def _minutes_since(instant: Any, now: float) -> float | None:
    return None if instant is None else (now - float(instant)) / 60.0


def _count(instants: Any, now: float, within: CountWithin | ShareWithin) -> float | None:
    """Instants in (now - after_s, now - upto_s]; they are ascending."""
    if instants is None:
        return None
    return float(bisect_right(instants, now - within.upto_s) - bisect_right(instants, now - within.after_s))


def _share(stored: "Mapping[str, StoredValue | None]", now: float, within: ShareWithin) -> float | None:
    part, whole = (_count(stored.get(name), now, within) for name in (within.part, within.whole))
    return part / whole if part is not None and whole else None


def _check(i: Input, stored: Mapping[str, Mapping[str, str]]) -> None:
    wanted = (
        "instants" if isinstance(i.source, CountWithin | ShareWithin) else "text" if i.dtype == "category" else "number"
    )
    if i.dtype == "category" and not isinstance(i.source, Feature | RequestField):
        raise ContractError(f"input {i.name}: a category cannot be computed from what is stored")
    for view, feature in stored_features(i.source):
        dtype = stored.get(view, {}).get(feature)
        if dtype is None:
            raise ContractError(f"input {i.name}: {view}:{feature} is not in the contract's layout")
        if {"string": "text", "double_list": "instants"}.get(dtype, "number") != wanted:
            raise ContractError(f"input {i.name}: {i.dtype} cannot be made from a stored {dtype}")
    if isinstance(i.source, CountWithin | ShareWithin) and not i.source.after_s > i.source.upto_s >= 0:
        raise ContractError(
            f"input {i.name}: (t - {i.source.after_s} s, t - {i.source.upto_s} s] is no window of the past"
        )
