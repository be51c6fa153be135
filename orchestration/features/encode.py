"""Feast's bytes by columns: the Redis keys and hash fields of a view's rows, without Feast and without a loop over values.

What each value becomes is said in serving_gateway.contracts.online_layout, which encodes one value at a time. As Feast
does, a NaN scalar is stored as a null, a null in a list as NaN, and a null instant as the least int64.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
import polars as pl

from serving_gateway.contracts.online_layout import (
    STRING_TYPE,
    ViewLayout,
    entity_key,
)

TIME = "event_timestamp"
Columns = dict[bytes, list[bytes]]

_NULL = b""
_NULL_INSTANT = np.iinfo(np.int64).min
_U32 = struct.Struct("<I")
# feast.types.Value: field number and wire type
_STRING, _INT32, _INT64, _DOUBLE, _FLOAT, _INSTANT, _DOUBLES = 18, 24, 32, 41, 53, 64, 122
_PACKED = 10  # feast.types.DoubleList: its only field, packed
_SECONDS, _NANOS = 8, 16  # google.protobuf.Timestamp
_TICKS: dict[str, int] = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def encode(frame: pl.DataFrame, layout: ViewLayout, project: str, time: str = TIME) -> tuple[list[bytes], Columns]:
    """The Redis key of each row, and the value of each row by hash field (the row's `_ts:` field among them).

    Args:
        frame: the layout's join keys, its features, and the event time. Columns are cast to the layout's types.
        layout: the view.
        project: Feast's project.
        time: name of the event time's column, Datetime in UTC.

    Raises:
        ValueError: naming view and column, for a null key, a null time, or values that the layout's type does not hold.
        TypeError: naming view and column, for a time that is no Datetime.
    """
    return redis_keys(frame, layout, project), hash_fields(frame, layout, time)


def redis_keys(frame: pl.DataFrame, layout: ViewLayout, project: str) -> list[bytes]:
    """The Redis key of each row; see `encode`."""
    if not layout.join_keys:
        return [entity_key(project, (), ())] * frame.height
    head = entity_key("", layout.join_keys, ())
    parts: list[Sequence[bytes] | repeat[bytes]] = [repeat(head, frame.height)]
    for name in layout.join_keys:
        column = _cast(frame[name], layout, pl.Binary())
        _refuse_nulls(column, layout)
        values = column.to_list()
        sizes = [len(value) for value in values]
        heads = {size: _U32.pack(STRING_TYPE) + _U32.pack(size) for size in set(sizes)}
        parts += [[heads[size] for size in sizes], values]
    parts.append(repeat(project.encode()))
    return list(map(b"".join, zip(*parts, strict=False)))


def hash_fields(frame: pl.DataFrame, layout: ViewLayout, time: str = TIME) -> Columns:
    """The value of each row by hash field; see `encode`."""
    columns: Columns = {}
    for feature in layout.features:
        dtype, encoder = _ENCODERS[feature.dtype]
        columns[bytes.fromhex(feature.field)] = encoder(_cast(frame[feature.name], layout, dtype))
    columns[layout.timestamp_field] = _timestamps(times_us(frame, layout, time))
    return columns


def times_us(frame: pl.DataFrame, layout: ViewLayout, time: str = TIME) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The event times in UTC microseconds since the epoch, int64; what is finer is cut off, as by Feast."""
    column = frame[time]
    if not isinstance(column.dtype, pl.Datetime):
        raise TypeError(f"view {layout.name}: column {time} is {column.dtype}; it has to be a Datetime in UTC")
    _refuse_nulls(column, layout)
    ticks, per_second = column.to_physical().to_numpy(), _TICKS[column.dtype.time_unit]
    return ticks // 1000 if per_second > 1_000_000 else ticks * (1_000_000 // per_second)


def _cast(column: pl.Series, layout: ViewLayout, dtype: pl.DataType) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):  # an instant: whole UNIX seconds, rounded down
        column = column.to_physical() // _TICKS[column.dtype.time_unit]
    try:
        return column.cast(dtype)
    except pl.exceptions.PolarsError as error:
        raise ValueError(
            f"view {layout.name}: column {column.name} ({column.dtype}) does not fit {dtype}: {error}"
        ) from error


def _refuse_nulls(column: pl.Series, layout: ViewLayout) -> None:
    if nulls := column.null_count():
        raise ValueError(
            f"view {layout.name}: {nulls} of {len(column)} rows have no {column.name}; it has to be known in every row"
        )


def _strings(column: pl.Series) -> list[bytes]:
    values = column.fill_null(b"").to_list()
    sizes = [len(value) for value in values]
    heads = {size: bytes((_STRING,)) + head for size, head in _heads(sizes).items()}
    return _with_nulls([heads[size] + value for size, value in zip(sizes, values, strict=True)], column.is_null())


def _floats(tag: int) -> Callable[[pl.Series], list[bytes]]:
    def encode_column(column: pl.Series) -> list[bytes]:
        values = column.fill_null(0.0).to_numpy()
        stored = np.empty(len(values), [("tag", "u1"), ("value", values.dtype)])
        stored["tag"], stored["value"] = tag, values
        return _with_nulls(stored.view(f"V{stored.itemsize}").tolist(), column.is_null() | column.is_nan())

    return encode_column


def _integers(tag: int) -> Callable[[pl.Series], list[bytes]]:
    def encode_column(column: pl.Series) -> list[bytes]:
        return _with_nulls(_varints(column.fill_null(0).to_numpy(), tag), column.is_null())

    return encode_column


def _instants(column: pl.Series) -> list[bytes]:
    return _varints(column.fill_null(_NULL_INSTANT).to_numpy(), _INSTANT)


def _double_lists(column: pl.Series) -> list[bytes]:
    sizes = column.list.len().fill_null(0).to_list()
    data = column.filter(column.list.len() > 0).explode().fill_null(np.nan).to_numpy().tobytes()
    packed = {size: bytes((_PACKED,)) + head for size, head in _heads([8 * n for n in set(sizes)]).items()}
    heads = {
        n: _DOUBLES_TAG + (_varint(len(packed[8 * n]) + 8 * n) + packed[8 * n] if n else b"\0") for n in set(sizes)
    }
    out, at = [], 0
    for size in sizes:
        out.append(heads[size] + data[at : at + 8 * size])
        at += 8 * size
    return _with_nulls(out, column.is_null())


_DOUBLES_TAG = bytes((_DOUBLES,))
_ENCODERS: Mapping[str, tuple[pl.DataType, Callable[[pl.Series], list[bytes]]]] = {
    "string": (pl.Binary(), _strings),
    "int32": (pl.Int32(), _integers(_INT32)),
    "int64": (pl.Int64(), _integers(_INT64)),
    "double": (pl.Float64(), _floats(_DOUBLE)),
    "float": (pl.Float32(), _floats(_FLOAT)),
    "unix_timestamp": (pl.Int64(), _instants),
    "double_list": (pl.List(pl.Float64()), _double_lists),
}


def _timestamps(times: np.ndarray[Any, np.dtype[np.int64]]) -> list[bytes]:
    """Protobuf Timestamps of UTC microseconds (proto3: zero fields are left out)."""
    seconds, micros = np.divmod(times, 1_000_000)
    whole = _with_nulls(_varints(seconds, _SECONDS), pl.Series(seconds == 0))
    if not micros.any():
        return whole
    rest = _with_nulls(_varints(micros * 1000, _NANOS), pl.Series(micros == 0))
    return list(map(bytes.__add__, whole, rest))


def _with_nulls(values: list[bytes], null: pl.Series) -> list[bytes]:
    for i in null.arg_true():
        values[i] = _NULL
    return values


def _varints(values: np.ndarray[Any, Any], tag: int) -> list[bytes]:
    """Each value as a protobuf varint (two's complement of 64 bits) after its tag."""
    bits = values.astype(np.int64).view(np.uint64)
    width = max(1, -(-int(bits.max(initial=0)).bit_length() // 7))
    groups = bits[:, None] >> (np.arange(width, dtype=np.uint64) * np.uint64(7))
    stored = np.empty((len(bits), 1 + width), np.uint8)
    stored[:, 0] = tag
    stored[:, 1:] = groups & np.uint64(0x7F)
    stored[:, 1:-1] |= (groups[:, 1:] != 0) * np.uint8(0x80)
    sizes = 2 + (groups[:, 1:] != 0).sum(axis=1)
    data = stored.tobytes()
    starts = range(0, len(data), 1 + width)
    return [data[at : at + size] for at, size in zip(starts, sizes.tolist(), strict=True)]


def _heads(sizes: Sequence[int]) -> dict[int, bytes]:
    return {size: _varint(size) for size in set(sizes)}


def _varint(value: int) -> bytes:
    return _varints(np.array([value]), 0)[0][1:]
