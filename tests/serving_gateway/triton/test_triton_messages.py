import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving_gateway.triton.errors import ScoreError
from serving_gateway.triton.messages import InferMessages, Reply

MESSAGES = InferMessages(host="t:1", model="m_v1", input_tensor="features", output_tensor="score", width=3)
ROWS = [struct.pack("<3f", 1, 2, 3), struct.pack("<3f", 4, 5, 6)]


def reply(*scores: float, status: int = 200, **changes: object) -> Reply:
    output = {"name": "score", "datatype": "FP32", "shape": [len(scores), 1]} | changes
    document = json.dumps({"model_name": "m_v1", "outputs": [output]}).encode()
    body = document + struct.pack(f"<{len(scores)}f", *scores)
    return Reply(status, {"inference-header-content-length": str(len(document))}, body)


def test_a_request_is_one_batch_with_lengths_that_add_up() -> None:
    head, _, body = MESSAGES.request(ROWS).partition(b"\r\n\r\n")
    lines = dict(line.split(": ") for line in head.decode().split("\r\n")[1:])
    assert head.startswith(b"POST /v2/models/m_v1/infer HTTP/1.1\r\n")
    assert int(lines["Content-Length"]) == len(body)
    at = int(lines["Inference-Header-Content-Length"])
    tensor = json.loads(body[:at])["inputs"][0]
    assert (tensor["shape"], tensor["datatype"], tensor["parameters"]) == ([2, 3], "FP32", {"binary_data_size": 24})
    assert struct.unpack("<6f", body[at:]) == (1, 2, 3, 4, 5, 6)
    assert "Accept-Encoding" not in lines


def test_scores_come_back_in_order() -> None:
    assert MESSAGES.scores(reply(0.0, 0.5, 1.0), 3) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (reply(0.5, float("nan")), "invalid"),
        (reply(0.5, float("inf")), "invalid"),
        (reply(0.5, -0.1), "invalid"),
        (reply(0.5, 1.1), "invalid"),
        (reply(0.5), "invalid"),
        (reply(0.5, 0.5, 0.5), "invalid"),
        (reply(0.5, 0.5, shape=[1, 2]), "invalid"),
        (reply(0.5, 0.5, datatype="FP64"), "invalid"),
        (reply(0.5, 0.5, name="other"), "invalid"),
        (Reply(200, {}, b"{}"), "invalid"),
        (Reply(200, {"inference-header-content-length": "2"}, b"{}"), "invalid"),
        (Reply(200, {"inference-header-content-length": "9999"}, b"nonsense"), "invalid"),
        (Reply(200, {"inference-header-content-length": "-1"}, b"{}"), "invalid"),
        (Reply(200, {"inference-header-content-length": "\xb2"}, b"{}"), "invalid"),
        (Reply(200, {"inference-header-content-length": "9" * 5000}, b"{}"), "invalid"),
        (Reply(200, {"inference-header-content-length": "27"}, b'{"outputs":[{"name":"\xff"}]}'), "invalid"),
        (Reply(200, {"inference-header-content-length": "99999"}, b'{"x":' + b"[" * 90_000), "invalid"),
        (Reply(500, {}, b'{"error":"planted"}'), "error"),
        (Reply(500, {}, b'{"error":"\xff"}'), "error"),
        (Reply(503, {}, b"<html>"), "error"),
        (Reply(404, {}, b""), "error"),
    ],
)
def test_anything_else_is_charged(answer: Reply, outcome: str) -> None:
    with pytest.raises(ScoreError) as caught:
        MESSAGES.scores(answer, 2)
    assert caught.value.outcome == outcome
    assert "m_v1" in str(caught.value)


@given(
    st.binary(max_size=20),
    st.sampled_from([b'{"outputs":[{"name":"%b"}]}', b'{"error":"%b"}', b"%b"]),
    st.integers(0, 9),
)
def test_whatever_bytes_come_it_is_a_score_error(noise: bytes, document: bytes, cut: int) -> None:
    body = document % noise
    status = 200 if b"outputs" in document else 500
    answer = Reply(status, {"inference-header-content-length": str(len(body) - cut)}, body)
    with pytest.raises(ScoreError):
        MESSAGES.scores(answer, 2)


def test_tritons_own_words_are_passed_on() -> None:
    with pytest.raises(ScoreError, match="500: planted"):
        MESSAGES.scores(Reply(500, {}, b'{"error":"planted"}'), 1)
