"""A measurement counts what was done, and refuses what is not the same work."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.bench.backends import Backends
from tests.bench.load import Seen
from tests.bench.measure import TOLERANCE, NotComparableError, Prepared, Stand, check, row_of
from tests.servers import RedisServer, TritonServer

BACKENDS = Backends(RedisServer(1, None), TritonServer("h:1", "h:2", "h:3", None), "v1", "v2", "v3")  # type: ignore[arg-type]
SEEN = Seen(requests=1000, seconds=2.0, p50_us=100.0, p99_us=200.0, errors=1)
NONE = Stand(cpu_s=5.0, scored={"v1": 50, "v2": 5, "v3": 55}, answered=55, logged_until="0")
ASKED = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


def test_a_proxys_answers_are_what_its_arms_scored() -> None:
    after = Stand(cpu_s=5.1, scored={"v1": 950, "v2": 105, "v3": 1045}, answered=0, logged_until="")
    row = row_of(BACKENDS, ("nginx_mirror", 8), SEEN, before=NONE, after=after, unlogged=0)
    assert (row.target, row.concurrency, row.requests_per_second, row.errors) == ("nginx_mirror", 8, 500.0, 1)
    assert row.cpu_us_per_request == pytest.approx(100.0)
    assert (row.canary_share, row.shadow_share) == (0.1, 0.99)


def test_a_gateway_counts_its_own_answers_for_it_may_score_a_row_twice() -> None:
    after = Stand(cpu_s=5.0, scored={"v1": 1050, "v2": 105, "v3": 1055}, answered=1055, logged_until="9")
    row = row_of(BACKENDS, ("gateway", 8), SEEN, before=NONE, after=after, unlogged=7)
    assert (row.canary_share, row.shadow_share, row.errors) == (0.1, 1.0, 8)


def test_nothing_answered_is_no_row() -> None:
    with pytest.raises(NotComparableError, match="gateway: 1000 requests were answered, Triton scored 0 rows"):
        row_of(BACKENDS, ("gateway", 1), SEEN, before=NONE, after=NONE, unlogged=0)


@pytest.fixture
def half() -> Iterator[int]:
    """Port of a target that answers .5 to everything."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = b'{"predictions": [{"score": 0.5}]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def prepared(*expected: float) -> Prepared:
    return Prepared(Path(), [ASKED] * len(expected), np.array(expected, np.float32))


def test_right_scores_pass(half: int) -> None:
    check("gateway", prepared(0.5, 0.5, 0.5), half)


@pytest.mark.parametrize("expected", [0.5 + 3 * TOLERANCE, float("nan")])
def test_one_wrong_score_stops_the_measurement(half: int, expected: float) -> None:
    with pytest.raises(NotComparableError, match="gateway: scores differ from ONNX Runtime's"):
        check("gateway", prepared(0.5, 0.5, expected), half)
