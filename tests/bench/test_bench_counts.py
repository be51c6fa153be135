"""Counting what was done: CPU of real process trees, servers' counters, records in the stream."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from serving_gateway.contracts.prediction import LogRecord, PairedRecord, PairedScore, PredictionRecord
from serving_gateway.contracts.prediction_log import StreamBatch, encode_record, encode_records
from serving_gateway.control import keys
from tests.bench.counts import last_logged, rows_answered, rows_logged, rows_scored, tree_cpu_s

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
WAIT = "print('ready', flush=True); sys.stdin.read()"
ENDED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}]); {WAIT}"
ALIVE = f"""import subprocess, sys
child = [sys.executable, '-c', {BURN + "import sys; print('burnt', flush=True); sys.stdin.read()"!r}]
with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
    process.stdout.readline()
    {WAIT}
"""
TRITON = """\
# TYPE nv_inference_count counter
nv_inference_count{model="delay_v1",version="1"} 70
nv_inference_count{model="delay_v2",version="1"} 7
nv_inference_request_success{model="delay_v1",version="1"} 3
"""
GATEWAY = """\
# TYPE serving_app_http_responses_total counter
serving_app_http_responses_total{route="/predict",status="200"} 1024.0
serving_app_http_responses_total{status="200",route="/predict"} 1.0
serving_app_http_responses_total{route="/predict",status="503"} 5.0
serving_app_http_responses_total{route="/metrics",status="200"} 9.0
"""


@pytest.mark.parametrize("program", [ENDED, ALIVE], ids=["a child that ended", "a child that lives"])
def test_the_cpu_of_children_counts(program: str) -> None:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert 0.28 <= tree_cpu_s(process.pid) < 2.0
        process.communicate()
    assert tree_cpu_s(process.pid) == 0.0


@contextmanager
def serving(text: str) -> Iterator[str]:
    """An HTTP server that answers everything with `text`; its host:port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_rows_are_counted_and_not_batches() -> None:
    with serving(TRITON) as address:
        assert rows_scored(address) == {"delay_v1": 70, "delay_v2": 7}


def test_only_predictions_that_were_answered_count() -> None:
    with serving(GATEWAY) as address:
        assert rows_answered(address) == 1025


def test_before_the_first_answer_there_is_none() -> None:
    with serving("") as address:
        assert (rows_answered(address), rows_scored(address)["delay_v1"]) == (0, 0)


def prediction(name: str) -> PredictionRecord:
    return PredictionRecord(
        prediction_id=name, request_id="r", event_time_us=1, served_at_us=2, arm="canary", model="m", model_version="1",
        triton_model="m_v1", contract_digest="d", epoch=1, generation=2, entities={}, vector=[1.5], score=0.5,
        decision=True, latency_us=9,
    )  # fmt: skip


def paired(name: str) -> PairedRecord:
    score = PairedScore(arm="shadow", model_version="2", triton_model="m_v2", outcome="timeout")
    return PairedRecord(prediction_id=name, event_time_us=1, paired=score)


@pytest.mark.integration
def test_each_logged_prediction_counts_once_and_only_those_after_the_mark(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:

        def log(*records: LogRecord) -> None:
            payload = encode_records(encode_record(record) for record in records)
            batch = StreamBatch(segment="s", start=0, end=1, records=payload)
            client.xadd(keys.PREDICTIONS, batch.to_fields())  # type: ignore[arg-type]

        assert rows_logged(client, last_logged(client)) == 0
        log(prediction("before"))
        mark = last_logged(client)
        log(prediction("a"), prediction("b"), paired("a"), paired("x"))
        log(prediction("b"), prediction("c"))
        assert rows_logged(client, mark) == 3
        assert rows_logged(client, "0") == 4
