"""Laws over raw sockets: how a request is cut changes nothing; what is made of it harms nobody."""

import itertools
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving_gateway.support import GatewayProcess
from tests.serving_gateway.transport.conftest import RECEIVE_S, still_serves
from tests.serving_gateway.transport.raw import BODY, post, talk

pytestmark = pytest.mark.integration

INFER = b'{"id": "7", "inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 7], "data": [1,2,3,4,5,6,7]}]}'
CHUNKED = b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)
VALID = [
    post(),
    CHUNKED,
    post(INFER, "/v2/models/delay/infer"),
    post(b'{"prediction_id": "018f0000-0000-7000-8000-000000000000", "outcome": true}', "/feedback"),
    post(b'{"epoch": 1, "generation": 1, "reason": "x", "shadow_fraction": 0.5}', "/rollout").replace(b"POST", b"PUT"),
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /rollout/history?count=2 HTTP/1.1\r\nHost: x\r\n\r\n",
]
SPARED = {503, 504}  # what a busy or late neighbour may cause
TOKENS = [b"\r\n", b"\r\n\r\n", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"\0", b"\xff", b"{", b"[",
          b'"', b"NaN", b"-1", b"9" * 30, b"%00", b"/v2/", b"HTTP/1.0", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"]  # fmt: skip
laws = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)


def mutated(data: bytes, seed: int, times: int) -> bytes:
    """`data` with pieces cut out, doubled, flipped or put in."""
    rng, found = random.Random(seed), bytearray(data)
    for _ in range(times):
        at = rng.randrange(len(found) + 1)
        until = min(len(found), at + rng.choice((1, 1, 2, 8, 64)))
        change: Callable[[], bytes] = rng.choice(
            (
                lambda: b"",
                lambda: bytes(found[at:until]) * 2,  # noqa: B023  called at once
                lambda: bytes(rng.randrange(256) for _ in range(until - at)),  # noqa: B023
                lambda: rng.choice(TOKENS),
            )
        )
        found[at:until] = change()
    return bytes(found)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(at)]


@laws
@given(
    sent=st.lists(st.sampled_from(VALID), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
    times=st.integers(0, 6),
    cuts=st.lists(st.integers(0, 10_000), max_size=4),
    half_close=st.booleans(),
)
def test_what_is_made_of_a_request_harms_nobody(
    gateway: GatewayProcess, *, sent: list[bytes], seed: int, times: int, cuts: list[int], half_close: bool
) -> None:
    """Answers of known shape, none of them a bug; the connection ends in time; the next one is served."""
    data = mutated(b"".join(sent), seed, times)
    if not half_close:
        data += b"GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n"  # else a whole request would be waited on
    began = time.monotonic()
    found = talk(gateway.port, pieces_of(data, cuts) if data else [], half_close=half_close)
    assert time.monotonic() - began < RECEIVE_S + 2
    assert [a.status for a in found if a.status >= 500 and a.status not in SPARED] == []
    still_serves(gateway)


@laws
@given(which=st.integers(0, len(VALID) - 1), cuts=st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_however_a_request_is_cut_it_is_answered_the_same(gateway: GatewayProcess, which: int, cuts: list[int]) -> None:
    def shape(pieces: list[bytes]) -> tuple[int, list[str], int]:
        (answer,) = talk(gateway.port, pieces)
        # Whether it says `close` depends on whether our end was seen before the answer left.
        return answer.status, sorted(answer.headers.keys() - {"connection"}), answer.body.count(b'"')

    assert shape(pieces_of(VALID[which], cuts)) == shape([VALID[which]])


@pytest.mark.full
def test_ten_thousand_mutations_harm_nobody(gateway: GatewayProcess) -> None:
    for seed in range(10_000):
        data = mutated(VALID[seed % len(VALID)], seed, 1 + seed % 7)
        found = talk(gateway.port, [data])
        assert [a.status for a in found if a.status >= 500 and a.status not in SPARED] == [], (seed, data, found)
