"""The updater's metrics and health over HTTP on loopback."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from orchestration.features.live.policy import COUNTED

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 60)


class Metrics:
    """What the updater counts; one registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry}
        self.events = Counter("features_events", "Entries of the event stream", ["kind", "outcome"], **own)
        self.readable = Histogram(
            "features_event_to_readable_seconds", "From sent to readable in the online store", buckets=_SECONDS, **own
        )
        self.watermark = Gauge("features_watermark_timestamp_seconds", "Event time the online store has reached", **own)
        self.lag_entries = Gauge("features_stream_lag_entries", f"Entries that wait, counted up to {COUNTED}", **own)
        self.lag = Gauge("features_lag_seconds", "How long the oldest entry has waited", **own)
        self.refills = Counter("features_refills", "Times that the whole store was written", ["reason"], **own)
        self.refill = Gauge("features_refill_seconds", "How long the last of these took", **own)
        self.batch = Histogram("features_batch_seconds", "From read to readable, of a batch", buckets=_SECONDS, **own)
        self.store_up = Gauge("features_store_up", "1 while both Redis answer", **own)


@contextmanager
def served(
    port: int, metrics: Metrics, health: Callable[[], tuple[bool, str]], host: str = "127.0.0.1"
) -> Iterator[None]:
    """Serve `/metrics` and `/health` while the block runs. `health` says whether the process works, and its problem.

    Raises OSError where the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry))
            elif self.path == "/health":
                works, problem = health()
                body = json.dumps({"status": "ok" if works else "hung", "problem": problem}).encode()
                self._answer(200 if works else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/metrics and /health\n")

        def log_message(self, *_: object) -> None:
            """A probe each few seconds is no news."""

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
