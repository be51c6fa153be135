"""The body of POST /predict, parsed by types that are made from the model contract: one pass, exact error paths."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from serving_gateway.contracts.model import Input, ModelContract, RequestField
from serving_gateway.crowding import refuse_crowded
from serving_gateway.http import ApiError

Value = str | float | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESERVED = ("instances", "features", "entities", "request_id", "event_time")
_FLOAT32_MAX = 3.4028234663852886e38
_Text = Annotated[str, Meta(max_length=256)]
_TYPES: dict[str, Any] = {
    "float32": Annotated[float, Meta(ge=-_FLOAT32_MAX, le=_FLOAT32_MAX)] | None,
    # A whole number however it is written: JSON clients send 3.0 for 3.
    "int32": Annotated[float, Meta(ge=-(2**31), le=2**31 - 1, multiple_of=1)] | None,
    "category": _Text | None,
}
_EventTime = Annotated[datetime, Meta(tz=True)] | UnsetType
_WHERE = re.compile(r"(?s)^(.*?)(?: - at `(\$.*)`)?$")
_FIELD = re.compile(r"(?:unknown|missing required) field `(.*)`$")


class ContractError(ValueError):
    """The contract asks for something that a request cannot carry."""


class Row(Struct, frozen=True):
    """One instance. Either `fields` (request fields by name) or `given` (the inputs in the contract's order) is set."""

    entities: dict[str, str]
    fields: dict[str, Value] | None
    given: tuple[Value, ...] | None
    event_time_us: int | None


class PredictRequest(Struct, frozen=True):
    """A parsed request: its own id, if it has one, and its rows."""

    request_id: str | None
    rows: list[Row]


class RequestParser:
    """Parses bodies for one contract. Raises ContractError where the contract cannot be asked for."""

    def __init__(self, contract: ModelContract, *, max_rows: int, accept_event_time: bool) -> None:
        self._accept_event_time = accept_event_time
        self._max_rows = max_rows
        self._entities = tuple(sorted({key for view in contract.views for key in view.join_keys}))
        self._fields = tuple(
            dict.fromkeys(i.source.field for i in contract.inputs if isinstance(i.source, RequestField))
        )
        flat = _flat_types(self._entities, contract.inputs)
        self._flat = tuple(flat)
        self._values_a_row = len(flat) + len(contract.inputs) + 1
        given = _struct("Features", {i.name: _TYPES[i.dtype] for i in contract.inputs}, required=True)
        named = _struct("Entities", dict.fromkeys(self._entities, _Text))
        instance = {**flat, "features": given, "entities": named}
        row = _struct("Instance", instance, extra=[("event_time", _EventTime, UNSET)])
        body = _struct("Body", instance, extra=_body_fields(row, max_rows))
        self._decoder = msgspec.json.Decoder(body)
        self._flat_of = _getter(len(flat))
        self._nothing_flat = (UNSET,) * len(flat)
        self._given_of = _getter(len(contract.inputs))
        self._named_of = _getter(len(self._entities))
        self._features_of = attrgetter(f"f{len(flat)}")
        self._named = attrgetter(f"f{len(flat) + 1}")

    def parse(self, body: bytes) -> PredictRequest:
        """Parse and check. Raises ApiError 400 with the path of the first thing that is wrong."""
        refuse_crowded(body, max_rows=self._max_rows, values_a_row=self._values_a_row, path="$.instances")
        document = decoded(self._decoder, body)
        request_id = None if document.request_id is UNSET else document.request_id
        if document.instances is UNSET:
            return PredictRequest(request_id, [self._row(document, "$", None)])
        for name, value in zip(
            (*self._flat, "features", "entities"),
            (*self._flat_of(document), self._features_of(document), self._named(document)),
            strict=True,
        ):
            if value is not UNSET:
                raise ApiError(400, "belongs inside an instance when `instances` is sent", path=f"$.{name}")
        shared = self._event_time(document.event_time, "$")
        rows = [self._row(row, f"$.instances[{at}]", shared) for at, row in enumerate(document.instances)]
        return PredictRequest(request_id, rows)

    def _row(self, row: Any, path: str, shared_event_time: int | None) -> Row:
        event_time = self._event_time(row.event_time, path)
        event_time = shared_event_time if event_time is None else event_time
        values = self._flat_of(row)
        features, named = self._features_of(row), self._named(row)
        if features is UNSET:
            if named is not UNSET:
                raise ApiError(400, "only allowed beside `features`", path=f"{path}.entities")
            if UNSET in values:
                name = self._flat[values.index(UNSET)]
                raise ApiError(400, "required: send entities and request fields, or `features`", path=f"{path}.{name}")
            sent = dict(zip(self._flat, values, strict=True))
            return Row({e: sent[e] for e in self._entities}, {f: sent[f] for f in self._fields}, None, event_time)
        if values != self._nothing_flat:
            name = next(name for name, value in zip(self._flat, values, strict=True) if value is not UNSET)
            raise ApiError(400, "not allowed beside `features`: send it in `entities`", path=f"{path}.{name}")
        entities = {} if named is UNSET else dict(zip(self._entities, self._named_of(named), strict=True))
        known = {name: value for name, value in entities.items() if value is not UNSET}
        return Row(known, None, self._given_of(features), event_time)

    def _event_time(self, value: datetime | UnsetType, path: str) -> int | None:
        if value is UNSET:
            return None
        if not self._accept_event_time:
            raise ApiError(400, "only accepted in replay (EVENT_CLOCK=replay)", path=f"{path}.event_time")
        return (value - _EPOCH) // timedelta(microseconds=1)


def _flat_types(entities: Iterable[str], inputs: Iterable[Input]) -> dict[str, Any]:
    types: dict[str, Any] = dict.fromkeys(entities, _Text)
    for i in inputs:
        if not isinstance(i.source, RequestField):
            continue
        name = i.source.field
        if name in _RESERVED:
            raise ContractError(f"input {i.name}: a request field cannot be called {name}")
        expected = types.setdefault(name, _TYPES[i.dtype])
        if expected not in (_TYPES[i.dtype], _Text) or (expected is _Text and i.dtype != "category"):
            raise ContractError(f"input {i.name}: request field {name} is asked for with two types")
    clash = set(types).intersection(_RESERVED)
    if clash:
        raise ContractError(f"an entity cannot be called {min(clash)}")
    return types


def _body_fields(row: Any, max_rows: int) -> list[tuple[str, Any, Any]]:
    instances = Annotated[list[row], Meta(min_length=1, max_length=max_rows)] | UnsetType
    request_id = Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType
    return [("event_time", _EventTime, UNSET), ("instances", instances, UNSET), ("request_id", request_id, UNSET)]


def _struct(
    name: str, types: dict[str, Any], *, required: bool = False, extra: Iterable[tuple[str, Any, Any]] = ()
) -> Any:
    """A struct type with attributes f0, f1, …: the contract's names need not be Python identifiers."""
    attributes = [f"f{at}" for at in range(len(types))]
    fields: list[Any] = [
        (attribute, kind) if required else (attribute, kind | UnsetType, UNSET)
        for attribute, kind in zip(attributes, types.values(), strict=True)
    ]
    rename = dict(zip(attributes, types, strict=True))
    return msgspec.defstruct(name, [*fields, *extra], rename=rename, forbid_unknown_fields=True, frozen=True)


def _getter(count: int) -> Any:
    """A function from a struct to the tuple of its first `count` values."""
    names = [f"f{at}" for at in range(count)]
    if count < 2:
        return lambda struct: tuple(getattr(struct, name) for name in names)
    return attrgetter(*names)


def decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:
    """`body` by `decoder`. Raises ApiError 400 with the path of the first thing that is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message, path = _WHERE.match(str(error)).groups()  # type: ignore[union-attr]  # the pattern matches any text
        message = message.replace("`float` that's a multiple of 1.0", "a whole number")
        field = _FIELD.search(message)
        where = path or "$"
        raise ApiError(400, message, path=f"{where}.{field[1]}" if field else where) from None
    except msgspec.DecodeError as error:
        raise ApiError(400, f"not JSON: {error}") from None
    except UnicodeDecodeError:
        raise ApiError(400, "not JSON: a string is not valid UTF-8") from None
    except RecursionError:
        raise ApiError(400, "nested too deeply") from None
