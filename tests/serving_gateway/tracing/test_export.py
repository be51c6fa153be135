"""OpenTelemetry's side: what its queue and its thread do when the collector does not keep up."""

import logging
import socket
import time
from collections.abc import Iterator

import pytest

from serving_gateway.tracing.export import OtlpExporter
from serving_gateway.tracing.recorder import Span
from serving_gateway.tracing.trace import begun
from tests.serving_gateway.support import wait_for
from tests.serving_gateway.tracing.collector import collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """An exporter's filter of OpenTelemetry's log ends with the test."""
    queue = logging.getLogger("opentelemetry.sdk._shared_internal")
    filters = list(queue.filters)
    yield
    queue.filters[:] = filters


def spans(count: int) -> list[Span]:
    now = time.time_ns()
    traces = [begun(None) for _ in range(count)]
    return [
        Span("work", "internal", t.trace_id, t.span_id, "", now, now + 5, {"rows": n}) for n, t in enumerate(traces)
    ]


def test_a_full_queue_drops_the_oldest_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (("MAX_QUEUE_SIZE", "3"), ("MAX_EXPORT_BATCH_SIZE", "3"), ("SCHEDULE_DELAY", "60000")):
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    with collector() as found:
        exporter = OtlpExporter(f"{found.url}/", service="s", instance="i")
        exporter._processor._batch_processor._export_lock.acquire()  # the thread is busy with another batch
        exporter.export(spans(5))
        exporter._processor._batch_processor._export_lock.release()
        exporter.close(5.0)
        assert [s.attributes["rows"] for s in found.spans] == [2, 3, 4]
        assert found.paths == ["/v1/traces"]
    assert "Queue full" in caplog.text


def test_while_nothing_is_taken_a_full_queue_is_no_news(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in (("MAX_QUEUE_SIZE", "1"), ("MAX_EXPORT_BATCH_SIZE", "1"), ("SCHEDULE_DELAY", "60000")):
        monkeypatch.setenv(f"OTEL_BSP_{name}", value)
    with collector() as found:
        found.says = 400
        exporter = OtlpExporter(found.url, service="s", instance="i")
        exporter.export(spans(1))
        wait_for(lambda: "takes no spans" in caplog.text)
        with exporter._processor._batch_processor._export_lock:
            exporter.export(spans(3))
        exporter.close(5.0)
    assert caplog.text.count("takes no spans") == 1
    assert "Queue full" not in caplog.text
    assert "opentelemetry" not in {record.name.partition(".")[0] for record in caplog.records}


def test_a_collector_that_hangs_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporter = OtlpExporter(f"http://127.0.0.1:{silent.getsockname()[1]}", service="s", instance="i")
        exporter.export(spans(1))
        started = time.monotonic()
        exporter.close(0.2)
        assert time.monotonic() - started < 2


def test_a_password_of_the_collector_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with collector() as found:
        found.says = 400
        exporter = OtlpExporter(f"http://me:s3cret@127.0.0.1:{found.port}", service="s", instance="i")
        exporter.export(spans(1))
        exporter.close(5.0)
    assert f"http://127.0.0.1:{found.port}/v1/traces takes no spans" in caplog.text
    assert "s3cret" not in caplog.text
