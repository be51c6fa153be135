"""Keep-alive clients, half of them without a pause, that remember what became of every request."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse

from tests.serving_gateway.support import GIVEN

PAUSE_S = 0.05
BODY = json.dumps({"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"})


@dataclass
class Hammer:
    """`failed`: requests sent over a connection that stood, and not answered by 200, with the worker that they met.

    A connection that is refused was never made, and is tried again: that is not a request that failed.
    """

    port: int
    answered: set[str] = field(default_factory=set)
    failed: list[tuple[int, str]] = field(default_factory=list)
    closes: int = 0
    clients: list[threading.Thread] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def ask_on_and_on(self, pause_s: float) -> None:
        while not self._stop.is_set():
            connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.connect()
            except OSError:
                self._stop.wait(0.01)
                continue
            self._ask_over(connection, pause_s)
            connection.close()

    def _ask_over(self, connection: HTTPConnection, pause_s: float) -> None:
        worker = 0
        try:
            while not self._stop.is_set():
                answer, body = _exchanged(connection, "GET" if not worker else "POST")
                if answer.status != 200:
                    self.failed.append((worker, f"{answer.status} {body!r}"))
                elif worker:
                    self.answered.add(json.loads(body)["predictions"][0]["prediction_id"])
                else:
                    worker = json.loads(body)["worker"]["pid"]
                if answer.getheader("connection") == "close":
                    self.closes += 1
                    return
                self._stop.wait(pause_s)
        except (OSError, HTTPException) as error:
            self.failed.append((worker, repr(error)))

    def stop(self) -> None:
        """When this returns, nobody asks any more."""
        self._stop.set()
        for client in self.clients:
            client.join()


def _exchanged(connection: HTTPConnection, method: str) -> tuple[HTTPResponse, bytes]:
    path, body = ("/health", None) if method == "GET" else ("/predict", BODY)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer, answer.read()


@contextmanager
def hammering(port: int, connections: int = 16) -> Iterator[Hammer]:
    """So many clients ask until the block ends. Every other one is idle now and then, as most are in life."""
    hammer = Hammer(port)
    for n in range(connections):
        hammer.clients.append(threading.Thread(target=hammer.ask_on_and_on, args=(n % 2 * PAUSE_S,)))
        hammer.clients[-1].start()
    try:
        yield hammer
    finally:
        hammer.stop()
