"""The body of /predict: what is accepted, and the path of the first thing that is not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.contracts.model import Input, RequestField
from serving_gateway.http import ApiError
from serving_gateway.parsing import ContractError, RequestParser
from tests.serving_gateway.support import CONTRACT, EVENT_TIME_US, GIVEN, INSTANCE

REPLAY = RequestParser(CONTRACT, max_rows=3, accept_event_time=True)
WALL = RequestParser(CONTRACT, max_rows=3, accept_event_time=False)


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k != name}


def test_by_entities_alone_and_in_a_list() -> None:
    for document in (INSTANCE, {"instances": [INSTANCE]}):
        request = WALL.parse(json.dumps(document).encode())
        assert request.request_id is None
        assert request.rows[0].entities == {"origin": "JFK", "tailnum": "N1"}
        assert request.rows[0].fields == {"carrier": "B6", "dow": 3.0, "distance": 1089.0}
        assert request.rows[0].given is None


def test_given_features_come_in_the_contracts_order_whatever_their_order() -> None:
    shuffled = dict(reversed(GIVEN.items()))
    document = {"instances": [{"features": shuffled, "entities": {"origin": "JFK"}}], "request_id": "r"}
    request = WALL.parse(json.dumps(document).encode())
    assert request.request_id == "r"
    assert request.rows[0].given == ("B6", 3.0, 1089.0, 10.0, None, "jet", 0.5)
    assert request.rows[0].entities == {"origin": "JFK"}
    assert request.rows[0].fields is None


def test_an_instances_event_time_wins_over_the_requests() -> None:
    late = INSTANCE | {"event_time": "2013-05-01T08:00:01.5-04:00"}
    body = {"instances": [INSTANCE, late], "event_time": "2013-05-01T12:00:00Z"}
    rows = REPLAY.parse(json.dumps(body).encode()).rows
    assert [r.event_time_us for r in rows] == [EVENT_TIME_US, EVENT_TIME_US + 1_500_000]


def test_a_null_request_field_is_missing_and_a_whole_float_is_an_integer() -> None:
    rows = WALL.parse(json.dumps(INSTANCE | {"distance": None, "dow": 3.0}).encode()).rows
    assert rows[0].fields == {"carrier": "B6", "dow": 3.0, "distance": None}


LIST = {"instances": [INSTANCE, INSTANCE]}
ERRORS = [
    (without(INSTANCE, "origin"), "$.origin"),
    ({}, "$.origin"),
    ({"instances": [INSTANCE, without(INSTANCE, "carrier")]}, "$.instances[1].carrier"),
    ({"instances": [INSTANCE, INSTANCE | {"origin": 3}]}, "$.instances[1].origin"),
    (INSTANCE | {"origin": None}, "$.origin"),
    (INSTANCE | {"origin": "x" * 257}, "$.origin"),
    (INSTANCE | {"dow": 3.5}, "$.dow"),
    (INSTANCE | {"dow": 2**31}, "$.dow"),
    (INSTANCE | {"dow": "3"}, "$.dow"),
    (INSTANCE | {"dow": True}, "$.dow"),
    (INSTANCE | {"distance": "far"}, "$.distance"),
    (INSTANCE | {"distance": 1e39}, "$.distance"),
    (INSTANCE | {"unknown": 1}, "$.unknown"),
    (LIST | {"unknown": 1}, "$.unknown"),
    (LIST | {"origin": "JFK"}, "$.origin"),
    (LIST | {"features": GIVEN}, "$.features"),
    ({"instances": []}, "$.instances"),
    ({"instances": [INSTANCE] * 4}, "$.instances"),
    ({"instances": {}}, "$.instances"),
    ({"instances": None}, "$.instances"),
    ({"instances": [1]}, "$.instances[0]"),
    (LIST | {"request_id": ""}, "$.request_id"),
    (LIST | {"request_id": 7}, "$.request_id"),
    ({"instances": [{"features": without(GIVEN, "tail min")}]}, "$.instances[0].features.tail min"),
    ({"instances": [{"features": GIVEN | {"x": 1}}]}, "$.instances[0].features.x"),
    ({"features": GIVEN | {"visib": "10"}}, "$.features.visib"),
    ({"features": GIVEN | {"s_dow": 1.5}}, "$.features.s_dow"),
    ({"features": GIVEN | {"kind": 1}}, "$.features.kind"),
    ({"features": GIVEN, "origin": "JFK"}, "$.origin"),
    ({"features": GIVEN, "entities": {"city": "x"}}, "$.entities.city"),
    ({"features": GIVEN, "entities": {"origin": 1}}, "$.entities.origin"),
    (INSTANCE | {"entities": {}}, "$.entities"),
    (INSTANCE | {"event_time": "2013-05-01T12:00:00"}, "$.event_time"),
    (INSTANCE | {"event_time": "noon"}, "$.event_time"),
    ([INSTANCE], "$"),
    (None, "$"),
]


@pytest.mark.parametrize(("document", "path"), ERRORS)
def test_the_error_names_its_path(document: Any, path: str) -> None:
    with pytest.raises(ApiError) as caught:
        REPLAY.parse(json.dumps(document).encode())
    assert (caught.value.status, caught.value.path) == (400, path)
    assert caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"\xff",
        b'{"origin":"\xff"}',
        b'{"distance":NaN}',
        b'{"distance":1e999}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        REPLAY.parse(body)
    assert caught.value.status == 400


def test_only_a_replay_lets_the_client_set_the_clock() -> None:
    for document, path in (
        (INSTANCE | {"event_time": "2013-05-01T12:00:00Z"}, "$.event_time"),
        (LIST | {"event_time": "2013-05-01T12:00:00Z"}, "$.event_time"),
        ({"instances": [INSTANCE, INSTANCE | {"event_time": "2013-05-01T12:00:00Z"}]}, "$.instances[1].event_time"),
    ):
        with pytest.raises(ApiError, match="EVENT_CLOCK=replay") as caught:
            WALL.parse(json.dumps(document).encode())
        assert caught.value.path == path


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=9).map(msgspec.json.encode)
)
def test_a_body_that_is_no_request_raises_nothing_but_a_400(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        WALL.parse(body)
    assert caught.value.status == 400


def test_contracts_that_no_request_can_satisfy_are_refused() -> None:
    for name, dtype in (("instances", "float32"), ("origin", "float32")):
        i = Input(name="x", dtype=dtype, source=RequestField(name))  # type: ignore[arg-type]
        with pytest.raises(ContractError, match="input x"):
            RequestParser(msgspec.structs.replace(CONTRACT, inputs=(i,)), max_rows=1, accept_event_time=False)


def test_an_entity_can_be_a_request_field_too() -> None:
    i = Input(name="x", dtype="category", source=RequestField("origin"), vocabulary=("JFK",))
    contract = msgspec.structs.replace(CONTRACT, inputs=(i,))
    rows = RequestParser(contract, max_rows=1, accept_event_time=False).parse(b'{"origin":"JFK","tailnum":"N1"}').rows
    assert rows[0].fields == {"origin": "JFK"}
    assert rows[0].entities == {"origin": "JFK", "tailnum": "N1"}
