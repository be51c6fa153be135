"""Local stand-ins for the services on both ends of the alerts: what is scraped, and who is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# What the real ones say to what they take: Slack's incoming webhooks, PagerDuty's Events API v2.
SLACK = (200, b"ok")
PAGERDUTY = (202, b'{"status":"success","message":"Event processed"}')
INCIDENTS = (200, b"{}")


@dataclass
class Inbox:
    """What a receiver was sent, with the time of each in seconds of the monotonic clock."""

    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def matching(self, holds: Callable[[dict[str, Any]], bool]) -> list[tuple[float, dict[str, Any]]]:
        return [(at, body) for at, body in self.received if holds(body)]


@contextmanager
def receiving(port: int, path: str, taken: tuple[int, bytes]) -> Iterator[Inbox]:
    """Take posts of JSON on `path`, answered by `taken`, while the block runs; anything else is 404."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """It is scraped, and has nothing to say."""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = taken if self.path == path else (404, b"")
            if self.path == path:
                inbox.received.append((time.monotonic(), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with _serving(port, Handler):
        yield inbox


@contextmanager
def exposing(port: int, text: Callable[[], bytes]) -> Iterator[None]:
    """Answer each scrape of /metrics with what `text` gives then."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with _serving(port, Handler):
        yield


@contextmanager
def reports(port: int, folder: Path) -> Iterator[None]:
    """The folder by the server that hands the reports out."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with _serving(port, partial(Quiet, directory=str(folder))):
        yield


@contextmanager
def _serving(port: int, handler: Any) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
