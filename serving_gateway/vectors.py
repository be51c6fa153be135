"""A row's input vector, made by the contract: the scalar evaluator of what training computes in columns."""

import sys
from array import array
from collections.abc import Callable, Iterable, Mapping
from math import nan

from serving_gateway.contracts.model import Feature, Input, MinutesSince, ModelContract, RequestField
from serving_gateway.contracts.online_layout import Scalar
from serving_gateway.parsing import ContractError, Value

Views = Mapping[str, Mapping[str, Scalar | None]]  # view -> feature -> value; an expired or missing view is empty
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


def _index(i: Input) -> dict[Value, float]:
    return {value: float(at) for at, value in enumerate(i.vocabulary)}


def _reader(source: RequestField | Feature | MinutesSince) -> _Reader:
    if isinstance(source, RequestField):
        field = source.field
        return lambda fields, _views, _now: fields[field]
    view, feature = source.view, source.feature
    if isinstance(source, Feature):
        return lambda _fields, views, _now: views[view].get(feature)

    def minutes_since(_fields: Mapping[str, Value], views: Views, now: float) -> Value:
        instant = views[view].get(feature)
        return None if instant is None else (now - float(instant)) / 60.0

    return minutes_since


def _check(i: Input, stored: Mapping[str, Mapping[str, str]]) -> None:
    if isinstance(i.source, RequestField):
        return
    dtype = stored.get(i.source.view, {}).get(i.source.feature)
    if dtype is None:
        raise ContractError(f"input {i.name}: {i.source.view}:{i.source.feature} is not in the contract's layout")
    wants_text = i.dtype == "category"
    if wants_text != (dtype == "string") or (isinstance(i.source, MinutesSince) and wants_text):
        raise ContractError(f"input {i.name}: {i.dtype} cannot be made from a stored {dtype}")
