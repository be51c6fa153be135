"""What clients in another process saw of one or several gateways."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import quantiles

from tests.servers import ROOT
from tests.serving_gateway.faults.asking import Answer
from tests.serving_gateway.support import GIVEN, INSTANCE

BY_FEATURES: dict[str, object] = {"features": GIVEN, "event_time": "2013-05-01T12:00:00Z"}
BY_ENTITIES: dict[str, object] = {**INSTANCE, "event_time": "2013-05-01T12:00:00Z"}


@dataclass
class Load:
    """Every request, once the clients have ended."""

    answers: list[Answer] = field(default_factory=list)

    def between(self, start: float = 0.0, end: float = float("inf")) -> "Load":
        """Those that began in [start, end), CLOCK_MONOTONIC in seconds."""
        return Load([answer for answer in self.answers if start <= answer[1] < end])

    @property
    def statuses(self) -> Counter[int]:
        """How many had which status; 0: the connection broke."""
        return Counter(answer[3] for answer in self.answers)

    @property
    def ids(self) -> list[str]:
        """The ids of the predictions that were answered."""
        return [p["prediction_id"] for p in self.predictions]

    @property
    def predictions(self) -> list[dict[str, object]]:
        """What was predicted."""
        return [p for answer in self.answers if answer[3] == 200 for p in json.loads(answer[5])["predictions"]]

    @property
    def worst_ms(self) -> float:
        """How long the slowest took, whatever its status."""
        return max(answer[2] for answer in self.answers)

    def ms(self, percent: int, status: int = 200) -> float:
        """The percentile of what requests of that status took."""
        return quantiles([answer[2] for answer in self.answers if answer[3] == status], n=100)[percent - 1]

    def refused_without_retry_after(self) -> list[Answer]:
        """503s that do not say when to come back."""
        return [answer for answer in self.answers if answer[3] == 503 and not answer[4]]


@contextmanager
def asked(
    *ports: int, body: dict[str, object] = BY_FEATURES, connections: int = 8, pause_s: float = 0.005, rate: float = 0
) -> Iterator[Load]:
    """Requests from the block's start to its end; then `answers` are there."""
    command = [sys.executable, "-m", "tests.serving_gateway.faults.asking", json.dumps(ports)]
    command += [str(connections), str(pause_s), str(rate), json.dumps(body)]
    load = Load()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "asking\n"
        try:
            yield load
        finally:
            answers = client.communicate()[0]
        load.answers = [tuple(answer) for answer in json.loads(answers)]
