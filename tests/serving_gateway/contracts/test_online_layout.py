"""The layout's codec against Feast's own protobufs and key encoding, over random values."""

import math
import struct
from array import array
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serving_gateway.contracts.online_layout import (
    FeatureField,
    ViewLayout,
    decode_timestamp,
    decode_value,
    encode_timestamp,
    encode_value,
    entity_key,
)

pytestmark = pytest.mark.integration  # by Feast, which takes seconds to import


@cache
def feast() -> Any:
    """Feast's own classes, imported where a test asks for them."""
    from feast.infra import key_encoding_utils as encoding
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import DoubleList, Value
    from google.protobuf.timestamp_pb2 import Timestamp

    return SimpleNamespace(
        Value=Value, EntityKey=EntityKey, DoubleList=DoubleList, Timestamp=Timestamp, encoding=encoding
    )


@pytest.fixture(autouse=True, scope="module")
def imported() -> None:
    """Before the first example, which has its time."""
    feast()


INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TYPED = st.one_of(
    st.tuples(st.just("string"), st.text()),
    st.tuples(st.just("int32"), INT32),
    st.tuples(st.just("int64"), INT64),
    st.tuples(st.just("unix_timestamp"), INT64.filter(lambda seconds: seconds > -(2**63))),
    st.tuples(st.just("double"), st.floats(allow_nan=False)),
    st.tuples(st.just("float"), st.floats(allow_nan=False, width=32)),
)
NAMES = st.text(min_size=1, max_size=20)
# The years 1 to 9999, which is what a Timestamp may hold.
MICROS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@given(TYPED)
def test_values_are_feasts_bytes_and_come_back(typed: Any) -> None:
    dtype, value = typed
    data = feast().Value(**{f"{dtype}_val": value}).SerializeToString()
    assert encode_value(dtype, value) == data
    decoded = decode_value(data)
    assert decoded == value
    assert type(decoded) is type(value)


@given(st.lists(st.floats(allow_nan=False)))
def test_lists_are_feasts_bytes_and_come_back(values: list[float]) -> None:
    data = feast().Value(double_list_val=feast().DoubleList(val=values)).SerializeToString()
    assert encode_value("double_list", values) == data
    assert decode_value(data) == array("d", values)


def test_a_list_in_another_encoding_is_refused() -> None:
    with pytest.raises(ValueError, match="unpacked list"):
        decode_value(b"\x7a\x09\x09" + struct.pack("<d", 1.0))
    with pytest.raises(ValueError, match="bytes length not a multiple"):
        decode_value(b"\x7a\x09\x0a\x07" + bytes(7))


def test_null_is_the_empty_message_and_absent_is_null() -> None:
    assert encode_value("float", None) == feast().Value().SerializeToString() == b""
    assert decode_value(b"") is None
    assert decode_value(None) is None
    assert (
        decode_value(feast().Value(unix_timestamp_val=-(2**63)).SerializeToString()) is None
    )  # Feast's null of this type


def test_nan_survives() -> None:
    data = feast().Value(float_val=float("nan")).SerializeToString()
    assert math.isnan(float(decode_value(data) or 0.0))


def test_a_type_that_we_do_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="unsupported Feast value tag"):
        decode_value(feast().Value(bool_val=True).SerializeToString())


@given(MICROS)
def test_timestamps_are_feasts_bytes_and_come_back(micros: int) -> None:
    proto = feast().Timestamp()
    proto.FromMicroseconds(micros)
    assert encode_timestamp(micros) == proto.SerializeToString()
    assert decode_timestamp(proto.SerializeToString()) == pytest.approx(micros / 1e6, abs=1e-4)


@given(st.integers(-62_135_596_800, 253_402_300_799))
@example(2**28 - 1)  # the last of four bytes
@example(2**28)
@example(2**35 - 1)  # the last of five
@example(2**35)
@example(0)
def test_whole_seconds_come_back_as_they_were(seconds: int) -> None:
    assert decode_timestamp(feast().Timestamp(seconds=seconds).SerializeToString()) == float(seconds)


def test_whole_seconds_are_exact_and_absent_is_none() -> None:
    assert decode_timestamp(encode_timestamp(1_364_731_200_000_000)) == 1_364_731_200.0
    assert decode_timestamp(encode_timestamp(0)) == 0.0
    assert decode_timestamp(None) is None


@given(st.dictionaries(NAMES, st.text(max_size=20), min_size=1, max_size=4), NAMES)
def test_entity_keys_are_feasts_bytes(entities: dict[str, str], project: str) -> None:
    names = tuple(sorted(entities))
    values = tuple(entities[name] for name in names)
    shuffled = list(reversed(names))
    proto = feast().EntityKey(
        join_keys=shuffled, entity_values=[feast().Value(string_val=entities[name]) for name in shuffled]
    )
    expected = feast().encoding.serialize_entity_key(proto, entity_key_serialization_version=3) + project.encode()
    assert entity_key(project, names, values) == expected


def test_the_key_of_global_values_is_feasts_stand_in() -> None:
    from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL

    proto = feast().EntityKey(join_keys=[DUMMY_ENTITY_ID], entity_values=[feast().Value(string_val=DUMMY_ENTITY_VAL)])
    expected = feast().encoding.serialize_entity_key(proto, entity_key_serialization_version=3) + b"drift"
    assert entity_key("drift", (), ()) == expected


def test_the_timestamp_field_is_named_after_the_view() -> None:
    field = FeatureField(name="x", field=struct.pack("<I", 7).hex(), dtype="float")
    layout = ViewLayout(name="origin_board", join_keys=("origin",), features=(field,), ttl_s=300)
    assert layout.timestamp_field == b"_ts:origin_board"
