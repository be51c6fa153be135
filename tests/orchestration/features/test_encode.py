"""The columnar encoder against Feast's own conversion, row by row and byte by byte."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.features.encode import encode
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout, entity_key
from tests.orchestration.features.feast_stores import PROJECT, features

pytestmark = pytest.mark.integration  # by Feast, which takes seconds to import
DTYPES = {
    "s": ("string", pl.String()),
    "i": ("int32", pl.Int32()),
    "n": ("int64", pl.Int64()),
    "d": ("double", pl.Float64()),
    "f": ("float", pl.Float32()),
    "t": ("unix_timestamp", pl.Datetime("us", "UTC")),
    "l": ("double_list", pl.List(pl.Float64())),
}
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(["x" * 127, "ü" * 64])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "s": TEXTS,
    "i": st.integers(-(2**31), 2**31 - 1),
    "n": st.integers(-(2**63), 2**63 - 1),
    "d": st.floats(),
    "f": st.floats(width=32),
    "t": TIMES,
    "l": st.lists(st.none() | st.floats(), max_size=3) | st.sampled_from([[0.5] * 15, [0.5] * 16]),
}


def layout(*join_keys: str) -> ViewLayout:
    from feast.infra.online_stores.helpers import _mmh3

    fields = tuple(
        FeatureField(name=name, field=_mmh3(f"view:{name}").hex(), dtype=dtype) for name, (dtype, _) in DTYPES.items()
    )
    return ViewLayout(name="view", join_keys=join_keys, features=fields, ttl_s=0)


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(1, 8))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(values, min_size=n, max_size=n))

    # Feast reads integers through float64 where a column has nulls: beyond 2^53 it stores another number than it read
    whole = draw(st.booleans())
    exact = VALUES | ({} if whole else {"n": st.integers(-(2**53), 2**53)})
    nullable = {k: v if whole and k == "n" else st.none() | v for k, v in exact.items()}
    return pl.DataFrame(
        [pl.Series("event_timestamp", column(TIMES), dtype=pl.Datetime("us", "UTC"))]
        + [pl.Series(name, column(TEXTS), dtype=pl.String) for name in ("k2", "k1")]
        + [pl.Series(name, column(nullable[name]), dtype=dtype) for name, (_, dtype) in DTYPES.items()]
    )


def feasts(frame: pl.DataFrame) -> list[tuple[bytes, dict[bytes, bytes]]]:
    from feast import Entity, FeatureView, FileSource, utils
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.value_type import ValueType
    from google.protobuf.timestamp_pb2 import Timestamp

    view = FeatureView(
        name="view",
        entities=[Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in ("k1", "k2")],
        schema=features(),
        source=FileSource(name="s", path="s.parquet", timestamp_field="event_timestamp"),
    )
    keys = dict.fromkeys(("k1", "k2"), ValueType.STRING)
    stored = []
    batch = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
    for key, values, time, _ in utils._convert_arrow_to_proto(batch, view, keys):
        stamp = Timestamp()
        stamp.FromDatetime(utils.make_tzaware(time))
        fields = {_mmh3(f"view:{name}"): value.SerializeToString() for name, value in values.items()}
        stored.append((_redis_key(PROJECT, key), fields | {b"_ts:view": stamp.SerializeToString()}))
    return stored


def ours(frame: pl.DataFrame, layout: ViewLayout) -> list[tuple[bytes, dict[bytes, bytes]]]:
    keys, fields = encode(frame, layout, PROJECT)
    return [(key, {field: values[i] for field, values in fields.items()}) for i, key in enumerate(keys)]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(frames())
def test_every_row_is_feasts(frame: pl.DataFrame) -> None:
    assert ours(frame, layout("k1", "k2")) == feasts(frame)


def test_a_view_without_entities_has_the_key_of_global_values() -> None:
    frame = pl.DataFrame({"event_timestamp": [datetime(2024, 1, 1, tzinfo=UTC)]}).with_columns(
        pl.lit(None, dtype).alias(name) for name, (_, dtype) in DTYPES.items()
    )
    keys, _ = encode(frame, layout(), PROJECT)
    assert keys == [entity_key(PROJECT, (), ())]


def test_integers_stay_exact_beside_nulls() -> None:
    """The one difference: Feast reads such a column through float64."""
    frame = pl.DataFrame({"event_timestamp": [datetime(2024, 1, 1, tzinfo=UTC)] * 2, "n": [2**53 + 1, None]})
    (field,) = (f for f in layout().features if f.name == "n")
    view = ViewLayout(name="view", join_keys=(), features=(field,), ttl_s=0)
    _, fields = encode(frame, view, PROJECT)
    from feast.protos.feast.types.Value_pb2 import Value

    assert fields[bytes.fromhex(field.field)] == [Value(int64_val=2**53 + 1).SerializeToString(), b""]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("k1", None, "view view: 1 of 1 rows have no k1"),
        ("event_timestamp", None, "view view: 1 of 1 rows have no event_timestamp"),
        ("i", 2**40, r"view view: column i \(Int64\) does not fit Int32"),
        ("d", "much", r"view view: column d \(String\) does not fit Float64"),
    ],
)
def test_what_cannot_be_stored_is_named(column: str, value: object, message: str) -> None:
    frame = pl.DataFrame({"event_timestamp": [datetime(2024, 1, 1, tzinfo=UTC)], "k1": ["a"]}).with_columns(
        pl.lit(None, dtype).alias(name) for name, (_, dtype) in DTYPES.items()
    )
    dtype = frame[column].dtype if value is None else None
    with pytest.raises(ValueError, match=message):
        encode(frame.with_columns(pl.lit(value, dtype).alias(column)), layout("k1"), PROJECT)
