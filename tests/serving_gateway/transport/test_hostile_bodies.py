"""Bodies made to break a decoder, to fill the memory or to stop the loop: 400 or 413, soon, and nothing is kept."""

import gzip
import json
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving_gateway.support import CONTRACT, GIVEN, GatewayProcess
from tests.serving_gateway.transport.conftest import worker
from tests.serving_gateway.transport.raw import Answer, forget_peak, post, resident_mib, talk

pytestmark = pytest.mark.integration

MIB = 1 << 20
LIMIT = 8 * MIB
WIDTH = len(CONTRACT.inputs)
INFER = "/v2/models/delay/infer"
OTHERS = "/v2/models/another/infer"


def given(**changes: object) -> bytes:
    return json.dumps({"features": GIVEN | changes, "event_time": "2013-05-01T12:00:00Z"}).encode()


def tensor(data: bytes, shape: str = f"[1, {WIDTH}]", datatype: str = "FP32", **members: bytes) -> bytes:
    further = b"".join(b', "%b": %b' % (name.encode(), value) for name, value in members.items())
    inputs = b'"name": "features", "datatype": "%b", "shape": %b, "data": %b' % (
        datatype.encode(),
        shape.encode(),
        data,
    )
    return b'{"inputs": [{%b}]%b}' % (inputs, further)


def filled(start: bytes, item: bytes, end: bytes) -> bytes:
    """A body just under the limit, of `item` again and again."""
    count = (LIMIT - len(start) - len(end)) // (len(item) + 1)
    return start + (item + b",") * (count - 1) + item + end


def asked(gateway: GatewayProcess, path: str, body: bytes, **headers: str) -> Answer:
    (answer,) = talk(gateway.port, [post(body, path, **headers)])
    return answer


DEEP = 100_000
WRONG: dict[str, tuple[str, bytes]] = {
    "nothing": ("/predict", b""),
    "not UTF-8": ("/predict", given().replace(b"jet", b"\xff\xfe")),
    "not UTF-8 in a name": ("/predict", given().replace(b"kind", b"\xc3\x28")),
    "half a surrogate pair": ("/predict", given().replace(b"jet", b"\\ud800")),
    "UTF-16": ("/predict", given().decode().encode("utf-16")),
    "deep lists": ("/predict", b"[" * DEEP),
    "deep objects": ("/predict", b'{"features":' * DEEP),
    "deep in what is passed over": ("/predict", b'{"instances": [{"features": ' + b"[" * DEEP),
    "NaN": ("/predict", given().replace(b"10,", b"NaN,")),
    "infinity": ("/predict", given().replace(b"10,", b"-Infinity,")),
    "beyond float32": ("/predict", given(visib=1e39)),
    "beyond float64": ("/predict", given().replace(b"10,", b"1e999,")),
    "digits without end": ("/predict", given().replace(b"10,", b"1" * 100_000 + b",")),
    "a string for a number": ("/predict", given(visib="10")),
    "a number for a string": ("/predict", given(kind=1)),
    "a bool for a number": ("/predict", given(s_dow=True)),
    "a list for a number": ("/predict", given(visib=[10])),
    "too long a string": ("/predict", given(kind="j" * 257)),
    "a year of five digits": ("/predict", given().replace(b"2013-05", b"20130-05")),
    "a day that is none": ("/predict", given().replace(b"05-01", b"02-30")),
    "feedback: deep": ("/feedback", b'{"feedback":' + b"[" * DEEP),
    "feedback: half a pair": ("/feedback", b'{"prediction_id": "\\ud800", "outcome": true}'),
    "feedback: NaN": ("/feedback", b'{"prediction_id": "x", "outcome": NaN}'),
    "v2: nothing": (INFER, b""),
    "v2: deep": (INFER, b'{"inputs":' + b"[" * DEEP),
    "v2: deep in NaN's own reader": (INFER, b'{"a": NaN, "inputs":' + b"[" * DEEP),
    "v2: deep in a parameter": (INFER, tensor(b"[]", parameters=b"[" * DEEP + b"]" * DEEP)),
    "v2: not UTF-8": (INFER, tensor(b"[]", id=b'"\xff"')),
    "v2: half a surrogate pair": (INFER, tensor(b"[]", id=b'"\\ud800"')),
    "v2: half a pair beside NaN": (INFER, tensor(b"[NaN]", id=b'"\\ud800"')),
    "v2: another type": (INFER, tensor(b"[1]", datatype="INT64")),
    "v2: text for numbers": (INFER, tensor(b'["1"]')),
    "v2: digits beside NaN": (INFER, tensor(b"[NaN, " + b"1" * 5000 + b"]")),
    "v2: large beside NaN": (INFER, tensor(b"[NaN, " + b"1" * 400 + b"]")),
    "v2: a shape that is negative": (INFER, tensor(b"[]", "[-1, 7]")),
    "v2: a shape that is huge": (INFER, tensor(b"[]", f"[9223372036854775807, {WIDTH}]")),
    "v2: a shape beyond 64 bits": (INFER, tensor(b"[]", "[99999999999999999999, 7]")),
    "v2: another model, deep": (OTHERS, b'{"inputs":' + b"[" * DEEP),
    "v2: another model, no JSON": (OTHERS, b"nonsense"),
    "rollback: deep": ("/rollout/rollback", b"[" * DEEP),
}


@pytest.mark.parametrize(("path", "body"), WRONG.values(), ids=WRONG)
def test_what_no_decoder_likes_is_the_callers_mistake(path: str, body: bytes, gateway: GatewayProcess) -> None:
    answer = asked(gateway, path, body)
    assert answer.status == (403 if path.startswith("/rollout") else 400), answer
    assert json.loads(answer.body)["error"]


MANY: dict[str, tuple[str, Callable[[], bytes], int]] = {
    "empty instances": ("/predict", lambda: filled(b'{"instances":[', b"{}", b"]}"), 400),
    "whole instances": ("/predict", lambda: filled(b'{"instances":[', given(), b"]}"), 400),
    "a row too many": ("/predict", lambda: b'{"instances":[' + b",".join([given()] * 1025) + b"]}", 400),
    "members": ("/predict", lambda: filled(b"{", b'"a":1', b"}"), 400),
    "one long string": ("/predict", lambda: given(kind="j" * (LIMIT - 1000)), 400),
    "reports": ("/feedback", lambda: filled(b'{"feedback":[', b'{"prediction_id":"","outcome":1}', b"]}"), 400),
    "members of feedback": ("/feedback", lambda: filled(b"{", b'"a":1', b"}"), 400),
    "numbers": (INFER, lambda: tensor(filled(b"[", b"1", b"]")[:-200] + b"]"), 400),
    "NaN": (INFER, lambda: tensor(filled(b"[", b"NaN", b"]")[:-201] + b"]"), 400),
    "lists": (INFER, lambda: tensor(filled(b"[NaN,", b"[]", b"]")[:-202] + b"]"), 400),
    "over the limit": ("/predict", lambda: b" " * (LIMIT + 1), 413),
}


@pytest.mark.parametrize(("path", "body", "status"), MANY.values(), ids=MANY)
def test_millions_are_refused_soon_and_in_little_memory(
    path: str, body: Callable[[], bytes], status: int, gateway: GatewayProcess
) -> None:
    """Little: the body itself, twice, and what a full batch may take."""
    sent = body()
    assert len(sent) > LIMIT - 1000 or len(sent) > MIB // 8
    forget_peak(worker(gateway))
    before, began = resident_mib(worker(gateway)), time.monotonic()
    answer = asked(gateway, path, sent)
    assert answer.status == status, answer
    assert time.monotonic() - began < 1.0
    assert resident_mib(worker(gateway), "VmHWM") - before < 64


def packed(size: int) -> bytes:
    """So many zeroes, in a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


@pytest.mark.parametrize("path", [INFER, OTHERS, "/v2/repository/index"])
def test_a_bomb_is_not_inflated(path: str, gateway: GatewayProcess) -> None:
    bomb = packed(256 * MIB)
    forget_peak(worker(gateway))
    before = resident_mib(worker(gateway))
    answer = asked(gateway, path, bomb, Content_Encoding="gzip")
    assert answer.status == 413, answer
    assert resident_mib(worker(gateway), "VmHWM") - before < 40


def test_a_small_body_costs_no_more_than_the_limit_it_grows_to(gateway: GatewayProcess) -> None:
    bomb = packed(LIMIT - MIB)
    forget_peak(worker(gateway))
    before = resident_mib(worker(gateway))
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda _: asked(gateway, OTHERS, bomb, Content_Encoding="gzip").status, range(80)))
    assert set(found) <= {400, 503, 504}
    assert resident_mib(worker(gateway), "VmHWM") - before < 40 * (LIMIT / MIB + 1)


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 5000, "\xb2", ""])
def test_a_length_within_the_body_that_is_none(length: str, gateway: GatewayProcess) -> None:
    answer = asked(gateway, INFER, tensor(b"[]"), Inference_Header_Content_Length=length)
    assert answer.status == 400, answer


def test_a_body_said_to_be_packed_that_is_not(gateway: GatewayProcess) -> None:
    for body in (b"nonsense", gzip.compress(b"{}")[:-1], gzip.compress(b"{}") + b"x", b""):
        assert asked(gateway, INFER, body, Content_Encoding="gzip").status == 400
