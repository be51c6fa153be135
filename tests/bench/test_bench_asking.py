"""Prepared requests are whole, say what the workload says, and are read as they were written."""

import json
import struct
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.features.inputs import vectors
from orchestration.features.training import ENTITIES, REQUEST_FIELDS
from orchestration.training.contract import build_contract
from tests.bench import asking
from tests.bench.workload import Workload
from tests.synthetic import START, synthetic_inputs, synthetic_rows

ROWS = 20


@pytest.fixture(scope="module")
def made() -> Workload:
    """Synthetic rows in the workload's shape."""
    inputs = synthetic_inputs()
    rows = synthetic_rows(ROWS).with_columns(
        *(pl.Series([f"{name}{n}" for n in range(ROWS)]).alias(name) for name in ENTITIES),
        *(pl.col(f"s_{name}").alias(name) for name in REQUEST_FIELDS),
    )
    contract = build_contract(
        b"", version="1", run_id="0", inputs=inputs, views=(), training_start=START, training_end=START
    )
    nothing = np.zeros(ROWS, np.float32)
    return Workload(contract, b"", rows, vectors(rows, inputs), nothing, {}, nothing)


def parsed(request: bytes) -> tuple[str, dict[str, str], bytes]:
    """Path, headers and body, as the parser of the gateway reads them; the request must end where its body ends."""
    seen: dict[str, Any] = {"headers": {}, "body": b"", "whole": 0, "url": b""}

    class Events:
        def on_url(self, url: bytes) -> None:
            seen["url"] += url

        def on_header(self, name: bytes, value: bytes) -> None:
            seen["headers"][name.decode().lower()] = value.decode()

        def on_body(self, body: bytes) -> None:
            seen["body"] += body

        def on_message_complete(self) -> None:
            seen["whole"] += 1

    httptools.HttpRequestParser(Events()).feed_data(request)
    assert seen["whole"] == 1
    return seen["url"].decode(), seen["headers"], seen["body"]


def test_given_features_are_the_vector(made: Workload) -> None:
    for request, vector, entity in zip(
        asking.given_features(made, "/predict"),
        made.vectors,
        made.requests.select(ENTITIES).rows(named=True),
        strict=True,
    ):
        path, _, body = parsed(request)
        document = json.loads(body)
        assert (path, document["entities"]) == ("/predict", entity)
        values = [document["features"][i.name] for i in made.contract.inputs]
        codes = [
            i.vocabulary.index(v) if i.vocabulary else v for i, v in zip(made.contract.inputs, values, strict=True)
        ]
        assert np.array_equal(np.array(codes, np.float32), vector, equal_nan=True)


def test_tensors_are_the_vector_and_carry_a_key_of_their_own(made: Workload) -> None:
    keys = set()
    for request, vector in zip(asking.tensors(made, "/v2/models/m/infer"), made.vectors, strict=True):
        path, headers, body = parsed(request)
        at = int(headers["inference-header-content-length"])
        document = json.loads(body[:at])
        assert path == "/v2/models/m/infer"
        assert document["inputs"][0]["shape"] == [1, len(vector)]
        assert body[at:] == vector.astype("<f4").tobytes()
        keys.add(headers[asking.ROUTING_HEADER])
    assert len(keys) == ROWS


def test_by_entities_only_the_requests_own_fields_are_sent(made: Workload) -> None:
    _, _, body = parsed(asking.by_entities(made, "/predict")[3])
    row = made.requests.row(3, named=True)
    assert json.loads(body) == {name: asking._shortest(row[name]) for name in (*ENTITIES, *REQUEST_FIELDS)}


def test_the_file_holds_each_request_behind_its_length(tmp_path: Path) -> None:
    data = asking.write(tmp_path / "all", [b"one", b"", b"three"]).read_bytes()
    assert data == struct.pack("<I3sI", 3, b"one", 0) + struct.pack("<I5s", 5, b"three")


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_shortest_digits_give_the_same_float32(value: float) -> None:
    sent = json.loads(json.dumps(asking._shortest(value)))
    assert np.float32(sent) == np.float32(value)
    assert len(json.dumps(sent)) <= len(json.dumps(value))


def test_missing_values_are_null() -> None:
    assert [asking._shortest(value) for value in (float("nan"), None, 3, "B6")] == [None, None, 3, "B6"]
