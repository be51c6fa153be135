"""Whatever the tensors, the gateway's answer is Triton's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tritonclient.http import InferInput, InferRequestedOutput

from tests.serving_gateway.v2.conftest import Client, Front, tensor

pytestmark = pytest.mark.integration
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
COMPRESSION = st.sampled_from([None, "gzip", "deflate"])


@st.composite
def several_tensors(draw: st.DrawFn) -> list[InferInput]:
    binary = draw(st.lists(st.booleans(), min_size=3, max_size=3))
    text = draw(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=5))
    numbers = draw(hnp.arrays(np.float32, st.tuples(st.integers(0, 9), st.just(2)), elements=ANY_FLOAT))
    counts = draw(hnp.arrays(np.int64, st.integers(0, 9)))
    return [
        tensor("text", np.array([t.encode() for t in text], dtype=object), "BYTES", binary=binary[0]),
        tensor("numbers", numbers, binary=binary[1]),
        tensor("counts", counts, "INT64", binary=binary[2]),
    ]


@pytest.fixture(scope="module")
def clients(front: Front) -> tuple[Client, Client]:
    return Client("sync", front.address), Client("sync", front.triton)


@given(
    inputs=several_tensors(),
    binary=st.booleans(),
    sent=COMPRESSION,
    wanted=COMPRESSION,
    name=st.text("abc", max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_a_model_that_is_passed_through(
    clients: tuple[Client, Client], inputs: list[InferInput], binary: bool, sent: str, wanted: str, name: str
) -> None:
    asked = {
        "outputs": [InferRequestedOutput(f"{n}_out", binary_data=binary) for n in ("counts", "numbers", "text")],
        "request_compression_algorithm": sent,
        "response_compression_algorithm": wanted,
        "request_id": name,
    }
    ours, tritons = (client("infer", "mixed", inputs, **asked) for client in clients)
    assert str(ours.get_response()) == str(tritons.get_response())
    for output in ("counts_out", "numbers_out", "text_out"):
        np.testing.assert_array_equal(ours.as_numpy(output), tritons.as_numpy(output))


@given(
    rows=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(7)), elements=ANY_FLOAT),
    binary=st.tuples(st.booleans(), st.booleans()),
    sent=COMPRESSION,
    wanted=COMPRESSION,
    version=st.sampled_from(["", "1", "2"]),
)
@settings(max_examples=60, deadline=None)
def test_the_rolled_out_model(
    clients: tuple[Client, Client],
    rows: np.ndarray,
    binary: tuple[bool, bool],
    sent: str,
    wanted: str,
    version: str,
) -> None:
    inputs = [tensor("features", rows, binary=binary[0])]
    asked = {
        "outputs": [InferRequestedOutput("score", binary_data=binary[1])],
        "request_compression_algorithm": sent,
        "response_compression_algorithm": wanted,
    }
    ours = clients[0]("infer", "delay", inputs, version, **asked)
    answered = ours.get_response()["model_version"]
    tritons = clients[1]("infer", f"delay_v{answered}", inputs, **asked)
    assert answered == (version or answered)
    assert ours.get_response()["outputs"] == tritons.get_response()["outputs"]
    np.testing.assert_array_equal(ours.as_numpy("score"), tritons.as_numpy("score"))
