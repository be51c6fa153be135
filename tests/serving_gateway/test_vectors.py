import math
import struct
from array import array
from typing import Any

import msgspec
import pytest

from serving_gateway.contracts.model import Feature, Input, MinutesSince
from serving_gateway.parsing import ContractError
from serving_gateway.vectors import Vectors, packed
from tests.serving_gateway.support import CONTRACT, EVENT_TIME_US

VECTORS = Vectors(CONTRACT)
FIELDS = {"carrier": "B6", "dow": 3.0, "distance": 1089.0}
VIEWS: dict[str, dict[str, Any]] = {
    "weather": {"visib": 9.1}, "tail": {"last_at": EVENT_TIME_US // 1_000_000 - 90, "kind": "prop"}, "board": {"late_share": 0.25}
}  # fmt: skip


def test_every_source_in_the_contracts_order() -> None:
    vector = VECTORS.from_request(FIELDS, VIEWS, EVENT_TIME_US)
    assert vector.tolist() == pytest.approx([1, 3, 1089, 9.1, 1.5, 1, 0.25], rel=1e-7)
    assert vector[3] == struct.unpack("<f", struct.pack("<f", 9.1))[0]
    assert struct.unpack("<7f", packed(vector)) == tuple(vector)


def test_null_unknown_and_missing_are_nan() -> None:
    fields = {"carrier": "ZZ", "dow": None, "distance": None}
    views: dict[str, dict[str, Any]] = {"weather": {}, "tail": {"last_at": None, "kind": "balloon"}, "board": {}}
    assert all(math.isnan(value) for value in VECTORS.from_request(fields, views, EVENT_TIME_US))


def test_given_values_are_encoded_the_same_way() -> None:
    assert VECTORS.from_given(("AA", 3.0, 1.0, 2.0, 1.5, "jet", 0.0)).tolist() == [0, 3, 1, 2, 1.5, 0, 0]
    assert math.isnan(VECTORS.from_given((None, 3.0, 1.0, 2.0, 1.5, "?", 0.0))[0])


def test_what_exceeds_float32_is_infinite_not_an_error() -> None:
    views = VIEWS | {"weather": {"visib": 1e300}}
    assert VECTORS.from_request(FIELDS, views, EVENT_TIME_US)[3] == math.inf


def test_packed_does_not_change_the_vector() -> None:
    vector = array("f", [1.0, 2.0])
    assert packed(vector) == struct.pack("<2f", 1.0, 2.0)
    assert vector.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "broken",
    [
        Input(name="x", dtype="float32", source=Feature("weather", "absent")),
        Input(name="x", dtype="float32", source=Feature("absent", "visib")),
        Input(name="x", dtype="float32", source=Feature("tail", "kind")),
        Input(name="x", dtype="category", source=Feature("weather", "visib")),
        Input(name="x", dtype="category", source=MinutesSince("tail", "kind")),
    ],
)
def test_a_contract_whose_parts_do_not_fit_is_refused(broken: Input) -> None:
    with pytest.raises(ContractError, match="input x"):
        Vectors(msgspec.structs.replace(CONTRACT, inputs=(broken,)))
