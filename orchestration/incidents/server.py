"""The receiver over HTTP: `POST /alerts` for Alertmanager, `GET /health` and `GET /metrics`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST

from orchestration.incidents.policy import CLIENT_TIMEOUT_S, MAX_BODY_BYTES
from orchestration.incidents.webhook import BadNotificationError, Notification, read_notification

_JSON = "application/json"


class Routes:
    """What is behind the addresses. `hear` raises OSError where the notification cannot be kept."""

    def __init__(
        self,
        hear: Callable[[Notification], dict[str, object]],
        health: Callable[[], tuple[bool, dict[str, object]]],
        metrics: Callable[[], bytes],
    ) -> None:
        self.hear = hear
        self.health = health
        self.metrics = metrics


@contextmanager
def served(host: str, port: int, routes: Routes) -> Iterator[None]:
    """Answer while the block runs. Raises OSError naming the port where it is taken."""

    class Handler(_Handler):
        answers = routes

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise OSError(f"port {port} of {host} cannot be listened on (INCIDENTS_PORT): {error}") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    answers: Routes
    timeout = CLIENT_TIMEOUT_S

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, self.answers.metrics())
        elif self.path == "/health":
            works, said = self.answers.health()
            self._say(200 if works else 503, {"status": "ok" if works else "hung", **said})
        elif self.path == "/alerts":
            self._say(405, {"error": "/alerts takes POST"})
        else:
            self._say(404, {"error": "there are /alerts, /health and /metrics"})

    def do_POST(self) -> None:
        if self.path != "/alerts":
            self._say(404, {"error": "POST goes to /alerts"})
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._say(411, {"error": "the body must come with its Content-Length"})
        elif int(length) > MAX_BODY_BYTES:
            self._say(
                413, {"error": f"the body is longer than {MAX_BODY_BYTES} bytes: set max_alerts for this receiver"}
            )
        else:
            self._hear(self.rfile.read(int(length)))

    def log_message(self, *_: object) -> None:
        """A scrape each few seconds is no news."""

    def _hear(self, body: bytes) -> None:
        try:
            self._say(200, self.answers.hear(read_notification(body)))
        except BadNotificationError as error:
            self._say(400, {"error": str(error)})
        except OSError as error:  # Alertmanager sends it again
            self._say(503, {"error": f"the notification cannot be kept: {error}"})

    def _say(self, status: int, document: dict[str, object]) -> None:
        self._answer(status, _JSON, json.dumps(document).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
