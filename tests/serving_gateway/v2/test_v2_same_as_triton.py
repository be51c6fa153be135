"""Whatever the tensors, the gateway's answer is Triton's own."""

import gzip

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tritonclient.http import InferInput, InferRequestedOutput

from tests.serving_gateway.v2.conftest import Client, Front, tensor

pytestmark = pytest.mark.integration
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
ALGORITHM = st.sampled_from([None, "gzip", "deflate"])
COMPRESSION = st.fixed_dictionaries(
    {"request_compression_algorithm": ALGORITHM, "response_compression_algorithm": ALGORITHM}
)


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


@given(inputs=several_tensors(), binary=st.booleans(), compression=COMPRESSION, name=st.text("abc", max_size=3))
@settings(max_examples=40, deadline=None)
def test_a_model_that_is_passed_through(
    clients: tuple[Client, Client],
    inputs: list[InferInput],
    binary: bool,
    compression: dict[str, str],
    name: str,
) -> None:
    outputs = [InferRequestedOutput(f"{n}_out", binary_data=binary) for n in ("counts", "numbers", "text")]
    ours, tritons = (
        client("infer", "mixed", inputs, outputs=outputs, request_id=name, **compression) for client in clients
    )
    assert str(ours.get_response()) == str(tritons.get_response())
    for output in ("counts_out", "numbers_out", "text_out"):
        np.testing.assert_array_equal(ours.as_numpy(output), tritons.as_numpy(output))


@given(
    rows=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(7)), elements=ANY_FLOAT),
    binary=st.tuples(st.booleans(), st.booleans()),
    compression=COMPRESSION,
    version=st.sampled_from(["", "1", "2"]),
)
@settings(max_examples=60, deadline=None)
def test_the_rolled_out_model(
    clients: tuple[Client, Client],
    rows: np.ndarray,
    binary: tuple[bool, bool],
    compression: dict[str, str],
    version: str,
) -> None:
    inputs = [tensor("features", rows, binary=binary[0])]
    asked = {"outputs": [InferRequestedOutput("score", binary_data=binary[1])]} | compression
    ours = clients[0]("infer", "delay", inputs, version, **asked)
    answered = ours.get_response()["model_version"]
    assert answered == (version or answered)
    tritons = clients[1]("infer", f"delay_v{answered}", inputs, **asked)
    [described], [expected] = ours.get_response()["outputs"], tritons.get_response()["outputs"]
    assert {**described, "data": None} == {**expected, "data": None} or not binary[1]
    np.testing.assert_allclose(ours.as_numpy("score"), tritons.as_numpy("score"), rtol=1e-6)  # batches may differ


RAW = {"inference-header-content-length": "0"}
ROW = b'{"inputs":[{"name":"features","datatype":"FP32","shape":[1,7],"data":[1,2,NaN,4,5,6,7]}]%b}'


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("delay_v1/infer", bytes(28), RAW),
        ("delay_v1/infer", bytes(56), RAW),
        ("delay_v1/infer", gzip.compress(bytes(28), mtime=0), RAW | {"content-encoding": "gzip"}),
        ("delay_v1/infer", ROW % b"", {}),
        ("delay_v1/versions/1/infer", ROW % b',"id":"mine"', {"accept-encoding": "gzip"}),
        ("delay_v1/versions/7/infer", ROW % b"", {}),
        ("delay_v1/infer", ROW % b',"outputs":[{"name":"x"}]', {}),
        ("delay_v1/infer", ROW % b',"outputs":[{"name":"score","parameters":{"classification":1}}]', {}),
        ("delay_v1/infer", b'{"inputs":[]}', {}),
        ("delay_v1/infer", b'{"inputs":[{"name":"features","datatype":"INT8","shape":[1,7],"data":[1]}]}', {}),
        ("mixed/infer", bytes(28), RAW),
        ("delay_v1/infer", ROW.replace(b"NaN", b"-Infinity") % b',"id":"NaN"', {}),
        ("delay_v1/infer", ROW.replace(b"NaN", b"Inf") % b"", {}),
        ("trouble/infer", b'{"inputs":[{"name":"wait","datatype":"FP32","shape":[1],"data":[-1]}]}', {}),
        ("nowhere/infer", ROW % b"", {}),
    ],
)
def test_status_headers_and_body_come_back_unchanged(
    front: Front, path: str, body: bytes, headers: dict[str, str]
) -> None:
    def asked(address: str) -> tuple[int, dict[str, str], bytes]:
        request = httpx.Request("POST", f"http://{address}/v2/models/{path}", content=body, headers=headers)
        with httpx.Client() as client:
            answer = client.send(request, stream=True)
            kept = {name: value for name, value in answer.headers.items() if name != "connection"}
            return answer.status_code, kept, b"".join(answer.iter_raw())

    found = asked(front.address)
    assert found[1].pop("traceresponse")  # the gateway's own
    assert found == asked(front.triton)
