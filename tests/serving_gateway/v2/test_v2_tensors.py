"""Infer requests of the rolled-out model, parsed, and their answers."""

import json
import math
import struct
from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.arms import LoadedArm
from serving_gateway.http import ApiError
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.triton.client import TritonClient
from serving_gateway.v2.tensors import HEADER_LENGTH, Asked, answer, asked_of, parts
from serving_gateway.vectors import packed, unpacked
from tests.serving_gateway.support import CONTRACT, TWO, arm_of

WIDTH = len(CONTRACT.inputs)
ROW = struct.pack(f"<{WIDTH}f", *range(WIDTH))
INPUT = {"name": "features", "datatype": "FP32", "shape": [1, WIDTH], "data": list(range(WIDTH))}
BINARY = {"name": "features", "datatype": "FP32", "shape": [1, WIDTH], "parameters": {"binary_data_size": len(ROW)}}


def asked(document: object, tensors: bytes = b"", *, length: str | None = None, max_rows: int = 8) -> Asked:
    head = document if isinstance(document, bytes) else json.dumps(document).encode()
    length = str(len(head)) if tensors and length is None else length
    headers = {} if length is None else {HEADER_LENGTH: length}
    return asked_of(headers, head + tensors, CONTRACT, max_rows=max_rows)


def refusal(document: object, tensors: bytes = b"", *, length: str | None = None) -> str:
    with pytest.raises(ApiError) as error:
        asked(document, tensors, length=length)
    assert error.value.status == 400
    return error.value.message


@given(
    st.lists(st.lists(st.floats(width=32), min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=8),
    st.sampled_from(["flat", "rows", "binary"]),
)
def test_the_rows_are_the_same_however_they_are_sent(rows: list[list[float]], how: str) -> None:
    expected = [struct.pack(f"<{WIDTH}f", *row) for row in rows]
    tensor: dict[str, object] = INPUT | {"shape": [len(rows), WIDTH]}
    if how == "binary":
        tensor = BINARY | {"shape": [len(rows), WIDTH], "parameters": {"binary_data_size": 4 * WIDTH * len(rows)}}
        found = asked({"inputs": [tensor]}, b"".join(expected))
    else:
        tensor["data"] = rows if how == "rows" else [value for row in rows for value in row]
        found = asked({"inputs": [tensor]})
    assert [_plain(row) for row in found.rows] == [_plain(row) for row in expected]


def _plain(row: bytes) -> str:
    """The values, any NaN like any other: JSON does not carry its bits."""
    return repr(unpacked(row).tolist())


@given(st.lists(st.floats(width=32), max_size=40))
def test_a_vector_is_packed_and_unpacked(values: list[float]) -> None:
    assert packed(unpacked(packed(array("f", values)))) == packed(array("f", values))


def test_what_float32_cannot_hold_is_infinite_as_in_triton() -> None:
    found = asked({"inputs": [INPUT | {"data": [1e300, -1e300, *range(5)]}]})
    assert unpacked(found.rows[0]).tolist() == [math.inf, -math.inf, *range(5)]


def test_a_raw_body_is_one_row() -> None:
    assert asked(b"", ROW, length="0") == Asked("", [ROW], binary=True)
    assert "needs 7 FP32 values, got 14" in refusal(b"", ROW * 2, length="0")
    assert "needs 7 FP32 values, got 6.5" in refusal(b"", ROW[:-2], length="0")


def test_the_form_of_the_answer_is_what_is_asked() -> None:
    output = {"name": "score"}
    forms = [
        ({}, False),
        ({"parameters": {"binary_data_output": True}}, True),
        ({"outputs": [output | {"parameters": {"binary_data": True}}]}, True),
        ({"parameters": {"binary_data_output": True}, "outputs": [output]}, True),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [output | {"parameters": {"binary_data": False}}],
            },
            False,
        ),
        ({"parameters": {"priority": 3, "timeout": 5, "mine": "x"}, "outputs": []}, False),
    ]
    for further, binary in forms:
        assert asked({"inputs": [INPUT], "id": "a"} | further) == Asked("a", [ROW], binary=binary)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": "f"}, "expected features alone, got ['f']"),
        ({"datatype": "FP64"}, "features is FP32, got 'FP64'"),
        ({"shape": [WIDTH]}, "must be of shape [n, 7], got [7]"),
        ({"shape": [1, 6]}, "must be of shape [n, 7], got [1, 6]"),
        ({"shape": [0, WIDTH], "data": []}, "1 to 8 rows"),
        ({"shape": [-1, WIDTH], "data": []}, "1 to 8 rows"),
        ({"shape": [9, WIDTH]}, "1 to 8 rows"),
        ({"shape": [10**30, WIDTH]}, "$.inputs[0].shape[0]"),
        ({"parameters": {"binary_data_size": 10**30}}, "$.inputs[0].parameters.binary_data_size"),
        ({"data": list(range(6))}, "needs 7 FP32 values, got 6"),
        ({"data": [[1, 2], [3]]}, "needs 7 FP32 values, got 3"),
        ({"data": [None] * WIDTH}, "got `null`"),
        ({"data": ["1"] * WIDTH}, "got `str`"),
        ({"data": [True] * WIDTH}, "got `bool`"),
        ({"data": [[[1]]] * WIDTH}, "got `array`"),
        ({"parameters": {"binary_data_size": 28}}, "both data and binary_data_size"),
        ({"parameters": {"shared_memory_region": "r"}}, "shared memory is not offered"),
        ({"parameters": 5}, "not as the protocol says"),
    ],
)
def test_an_input_that_is_wrong_is_named(wrong: dict[str, object], reason: str) -> None:
    assert reason in refusal({"inputs": [INPUT | wrong]})


def _one_value(value: bytes) -> bytes:
    return b'{"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 7], "data": [%b]}]}' % value


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"inputs": [NaN', "not JSON"),
        (b"NaN", "not as the protocol says"),
        (b'{"id": "\xff"}', "not JSON"),
        (b'{"x":' + b"[" * 100_000, "not JSON"),
        (b'{"inputs":' + b"[" * 100_000 + b"NaN", "not JSON"),
        (
            b'{"inputs": [{"name": "features", "datatype": "FP32", "shape": [1' + b"0" * 9999 + b"]}]}",
            "$.inputs[0].shape",
        ),
        (b'{"inputs": [{"name": "NaN", "datatype": "FP32", "shape": [1' + b"0" * 9999 + b"]}]}", "not JSON"),
        (_one_value(b"1" + b"0" * 400), "Number out of range"),
        (_one_value(b"1" + b"0" * 400 + b", NaN"), "Number out of range"),
        (_one_value(b"1e400"), "Number out of range"),
        ([], "not as the protocol says"),
        ({}, "`inputs`"),
        ({"inputs": []}, "expected features alone, got []"),
        ({"inputs": [INPUT, INPUT]}, "expected features alone, got ['features', 'features']"),
        ({"inputs": [{k: v for k, v in INPUT.items() if k != "data"}]}, "neither data nor binary_data_size"),
        ({"inputs": [INPUT], "id": 5}, "not as the protocol says"),
        ({"inputs": [INPUT], "id": "x" * 129}, "at most 128 characters"),
        (b'{"inputs": [{"name": "NaN", "datatype": "", "shape": []}], "id": "\\ud800"}', "Unicode text"),
        ({"inputs": [INPUT], "outputs": [{"name": "x"}]}, "there is only score, got 'x'"),
        ({"inputs": [INPUT], "outputs": [{"name": "score", "parameters": {"classification": 1}}]}, "no classes"),
        ({"inputs": [INPUT], "outputs": [{"name": "score", "parameters": {"shared_memory_region": "r"}}]}, "memory"),
        ({"inputs": [INPUT], "parameters": {"binary_data_output": "yes"}}, "not as the protocol says"),
    ],
)
def test_a_request_that_is_wrong_is_named(document: object, reason: str) -> None:
    assert reason in refusal(document)


def test_bytes_behind_the_json_must_be_announced_exactly() -> None:
    assert "28 bytes follow the JSON, but no input" in refusal({"inputs": [INPUT]}, ROW)
    assert "binary_data_size is 28, but 32 bytes follow" in refusal({"inputs": [BINARY]}, ROW + b"1234")
    assert "binary_data_size is 28, but 0 bytes follow" in refusal({"inputs": [BINARY]})


@pytest.mark.parametrize("length", ["abc", "-1", "9999", "", "1.5", "9" * 5000, "\u0663"])
def test_a_header_length_that_is_none(length: str) -> None:
    with pytest.raises(ApiError, match="must be 0 to 3"):
        parts({HEADER_LENGTH: length}, b"abc")


def row(score: float, contract: object = CONTRACT) -> ScoringRow:
    arm = LoadedArm("baseline", arm_of(contract), contract, TritonClient("127.0.0.1:1"), Counter())  # type: ignore[arg-type]
    return ScoringRow(None, "p", {}, 0, "baseline", array("f"), b"", arm=arm, score=score)  # type: ignore[arg-type]


def test_the_answer_in_both_forms() -> None:
    rows = [row(0.25), row(0.5)]
    plain = answer(Asked("mine", [], binary=False), rows, model="delay", output_tensor="score")
    assert json.loads(plain.body) == {
        "id": "mine",
        "model_name": "delay",
        "model_version": "1",
        "parameters": {"prediction_ids": "p,p"},
        "outputs": [{"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.25, 0.5]}],
    }
    binary = answer(Asked("", [], binary=True), rows, model="delay", output_tensor="score")
    head, tensors = parts(dict(binary.headers), binary.body)
    assert struct.unpack("<2f", tensors) == (0.25, 0.5)
    assert "id" not in json.loads(head)
    assert json.loads(head)["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert (plain.content_type, binary.content_type) == ("application/json", "application/octet-stream")


def test_every_version_that_answered_is_named() -> None:
    mixed = answer(Asked("", [], binary=False), [row(0.1, TWO), row(0.2), row(0.3, TWO)], model="d", output_tensor="s")
    assert json.loads(mixed.body)["model_version"] == "2,1"
