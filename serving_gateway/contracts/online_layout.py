"""Feast's Redis layout (entity key serialization version 3), enough to read and write it without Feast.

One Redis hash per entity key:
  key    = serialized entity key + project name
  field  = 4-byte little-endian murmur3 of "view:feature" (held in the layout as hex), value = protobuf `feast.types.Value`
  field  = "_ts:view", value = protobuf `google.protobuf.Timestamp` of the row's event time

Source: feast 0.67.0, infra/key_encoding_utils.py, infra/online_stores/{redis,helpers}.py, protos/feast/types/Value.proto.
"""

import struct
import sys
from array import array
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

ValueType = Literal["string", "int32", "int64", "double", "float", "unix_timestamp", "double_list"]
Scalar = str | int | float
StoredValue: TypeAlias = "str | int | float | array[float]"

STRING_TYPE = 2  # feast.types.ValueType.STRING
# feast.types.Value: field number and protobuf wire type of each scalar
_TAGS: dict[ValueType, int] = {
    "string": 2 << 3 | 2,
    "int32": 3 << 3 | 0,
    "int64": 4 << 3 | 0,
    "double": 5 << 3 | 1,
    "float": 6 << 3 | 5,
    "unix_timestamp": 8 << 3 | 0,
    "double_list": 15 << 3 | 2,
}
_VARINT_TAGS = frozenset((_TAGS["int32"], _TAGS["int64"], _TAGS["unix_timestamp"]))
_DOUBLE = struct.Struct("<d")
_FLOAT = struct.Struct("<f")
_U32 = struct.Struct("<I")
_STRING_OF = struct.Struct("<II")
# Feast's stand-in entity of views without entities (feast.entity: DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL)
_GLOBAL_JOIN_KEYS = ("__dummy_id",)
GLOBAL_VALUES = ("",)
_PACKED = 1 << 3 | 2  # feast.types.DoubleList: field 1, packed
_SIGN = 1 << 63
_WRAP = 1 << 64
_NOT_A_TIME = -_SIGN  # what Feast stores for a null UnixTimestamp
_CONTINUATIONS = 0x80 + (0x80 << 7) + (0x80 << 14) + (0x80 << 21)  # the bits of a varint of five bytes that say "more"


class FeatureField(Struct, frozen=True, kw_only=True):
    """One feature of a view: its name, the hex of its Redis hash field (4 bytes), its value type."""

    name: str
    field: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")]
    dtype: ValueType


class ViewLayout(Struct, frozen=True, kw_only=True):
    """Where one feature view lives in Redis.

    `join_keys` are the request's entity fields in Feast's sorted order (none for a view of global values);
    `ttl_s` is enforced by the reader from the stored timestamp (Feast itself does not, online); 0 means no limit.
    """

    name: str
    join_keys: tuple[str, ...]
    features: tuple[FeatureField, ...]
    ttl_s: int

    @property
    def timestamp_field(self) -> bytes:
        """The hash field that holds the row's event time."""
        return f"_ts:{self.name}".encode()


def entity_key(project: str, join_keys: tuple[str, ...], values: tuple[str, ...]) -> bytes:
    """Redis key of string-valued entities. `join_keys` sorted, `values` in the same order; both empty for global values."""
    values = values if join_keys else GLOBAL_VALUES
    return b"".join([key_prefix(join_keys), *map(key_value, values), project.encode()])


def key_prefix(join_keys: tuple[str, ...]) -> bytes:
    """What the Redis keys of these sorted join keys begin with. A `key_value` of each follows, then the project's name."""
    join_keys = join_keys or _GLOBAL_JOIN_KEYS
    return _U32.pack(len(join_keys)) + b"".join(map(key_value, join_keys))


def key_value(value: str) -> bytes:
    """A join key or its value as part of a Redis key: its type, its length in bytes, its UTF-8."""
    encoded = value.encode()
    return _STRING_OF.pack(STRING_TYPE, len(encoded)) + encoded


def encode_value(dtype: ValueType, value: "StoredValue | Sequence[float] | None") -> bytes:
    """Protobuf bytes of a `feast.types.Value`; None is the empty message."""
    if value is None:
        return b""
    tag = bytes((_TAGS[dtype],))
    if dtype == "double_list":
        packed = _swapped(array("d", value)).tobytes()  # type: ignore[arg-type]  # a list's
        doubles = bytes((_PACKED,)) + _varint(len(packed)) + packed if packed else b""
        return tag + _varint(len(doubles)) + doubles
    if dtype == "string":
        data = str(value).encode()
        return tag + _varint(len(data)) + data
    if dtype == "double":
        return tag + _DOUBLE.pack(value)
    if dtype == "float":
        return tag + _FLOAT.pack(value)
    return tag + _varint(int(value))  # type: ignore[arg-type]  # a list was encoded above


def decode_value(data: bytes | None) -> "StoredValue | None":
    """Inverse of `encode_value`; None for an absent field or a null value. Raises ValueError on an unknown tag."""
    if not data:
        return None
    tag = data[0]
    if tag == _TAGS["float"]:
        return float(_FLOAT.unpack_from(data, 1)[0])
    if tag == _TAGS["double"]:
        return float(_DOUBLE.unpack_from(data, 1)[0])
    if tag == _TAGS["string"]:
        length, start = _read_varint(data, 1)
        return data[start : start + length].decode()
    if tag in _VARINT_TAGS:
        whole = _signed(_read_varint(data, 1)[0])
        return None if whole == _NOT_A_TIME and tag == _TAGS["unix_timestamp"] else whole
    if tag == _TAGS["double_list"]:
        return _doubles(data)
    raise ValueError(f"unsupported Feast value tag {tag} in {data!r}")


def _doubles(data: bytes) -> "array[float]":
    values = array("d")
    length, start = _read_varint(data, 1)
    if length:
        if data[start] != _PACKED:
            raise ValueError(f"unpacked list in {data!r}")
        size, start = _read_varint(data, start + 1)
        values.frombytes(data[start : start + size])
    return _swapped(values)


def _swapped(values: "array[float]") -> "array[float]":
    """In or out of the wire's little-endian order."""
    if sys.byteorder == "big":
        values.byteswap()
    return values


def encode_timestamp(event_time_us: int) -> bytes:
    """Protobuf `Timestamp` of UTC microseconds since the epoch (proto3: zero fields are left out)."""
    seconds, micros = divmod(event_time_us, 1_000_000)
    out = b"\x08" + _varint(seconds) if seconds else b""
    return out + b"\x10" + _varint(micros * 1000) if micros else out


def decode_timestamp(data: bytes | None) -> float | None:
    """UTC seconds since the epoch of a protobuf `Timestamp`; None when the field is absent."""
    if data is None:
        return None
    if len(data) == 6:  # whole seconds, from 1978 to 3058
        tag, a, b, c, d, e = data
        if tag == 0x08 and a & b & c & d >= 0x80 > e:
            return float(a + (b << 7) + (c << 14) + (d << 21) + (e << 28) - _CONTINUATIONS)
    seconds, nanos, at = 0, 0, 0
    while at < len(data):
        tag = data[at]
        value, at = _read_varint(data, at + 1)
        if tag == 0x08:
            seconds = _signed(value)
        elif tag == 0x10:
            nanos = value
    return seconds + nanos / 1e9


def _varint(value: int) -> bytes:
    value %= _WRAP
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    if len(data) >= at + 5:  # five bytes: every instant in seconds from 1978 to 3058
        a, b, c, d, e = data[at : at + 5]
        if a & b & c & d >= 0x80 > e:
            return a + (b << 7) + (c << 14) + (d << 21) + (e << 28) - _CONTINUATIONS, at + 5
    shift = result = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _signed(value: int) -> int:
    return value - _WRAP if value >= _SIGN else value
