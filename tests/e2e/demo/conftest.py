"""`make demo` as somebody at a terminal has it: it tells its story, stays up, and they look around. Started once."""

import math
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestration.settings import Settings
from tests.e2e.conftest import STACK_SWITCHES, Platform
from tests.observability.promql import Drawn, filled
from tests.observability.scraping import PROMETHEUS, PrometheusServer, prometheus
from tests.servers import ROOT, free_port, wait_until

TOLD_S = 840.0  # beside two other stacks on two cores; alone it takes three minutes
STAYS = b"The platform stays up"
STEP_S = 2
# At whatever hour the tests run, no schedule's run is under way when they look; windows of health are of days.
SWITCHES = {
    "HEALTH_POLICY_PATH": STACK_SWITCHES["HEALTH_POLICY_PATH"],
    **dict.fromkeys(("CRON_FEATURES", "CRON_TRAINING", "CRON_DRIFT", "CRON_HEALTH", "CRON_SKEW"), "0 0 1 1 *"),
}


@dataclass
class Demo:
    """A demo at a terminal of its own, and what it has written there."""

    process: subprocess.Popen[bytes]
    written: bytearray

    @property
    def said(self) -> str:
        """Without what moves cursor and colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written.decode(errors="replace"))

    def end(self) -> int:
        """Ctrl-C; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)


@dataclass(frozen=True)
class Watched:
    """A Prometheus, and since when it has watched."""

    server: PrometheusServer
    since: float

    def series(self, query: Drawn) -> list[list[float]]:
        """What a panel would draw now: the finite values of each series of the query."""
        now = time.time()
        span = f"{math.ceil(now - self.since)}s"
        expr = filled(query.expr, rate_interval="10s", span=span)
        if query.instant:
            found = [[one["value"]] for one in self.server.instant(expr)]
        else:
            found = [one["values"] for one in self.server.range(expr, self.since, now, STEP_S)]
        finite = [[float(value) for _, value in points if math.isfinite(float(value))] for points in found]
        return [values for values in finite if values]


@pytest.fixture(scope="session")
def stack_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Home, ports and switches of the demo, set in our own environment too."""
    home = tmp_path_factory.mktemp("demo")
    wanted = {"PLATFORM_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), **SWITCHES}
    wanted |= {name.upper(): str(free_port()) for name in Settings.port_defaults()}
    with pytest.MonkeyPatch.context() as patch:
        for name in STACK_SWITCHES:
            patch.delenv(name, raising=False)
        for name, value in wanted.items():
            patch.setenv(name, value)
        yield dict(os.environ)


@pytest.fixture(scope="session")
def watcher(stack_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched | None]:
    """A Prometheus that watches from before the first minute, where there is one."""
    if PROMETHEUS is None:
        yield None
        return
    with ExitStack() as stack:
        settings = Settings.load()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PLATFORM_HOME")  # it is none of the demo's processes
            server = stack.enter_context(prometheus(settings, tmp_path_factory.mktemp("prometheus")))
        yield Watched(server, time.time())


@pytest.fixture(scope="session")
def demo(stack_environment: dict[str, str], watcher: Watched | None) -> Iterator[Demo]:
    """The demo, its story told. `test_stop.py` ends it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "orchestration.demo"]
    process = subprocess.Popen(command, cwd=ROOT, env=stack_environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    demo = Demo(process, bytearray())
    reader = threading.Thread(target=_read, args=(ours, demo.written), daemon=True)
    reader.start()
    try:
        wait_until(lambda: STAYS in demo.written or process.poll() is not None, timeout_s=TOLD_S)
        assert STAYS in demo.written, demo.said[-3000:]
        yield demo
    finally:
        try:
            demo.end()
        finally:
            process.kill()  # its stack ends with it, however that is
        reader.join(10)
        os.close(ours)


def _read(terminal: int, into: bytearray) -> None:
    try:
        while data := os.read(terminal, 65536):
            into += data
    except OSError:  # Linux says so when nobody writes any more
        return


@pytest.fixture(scope="session")
def platform(demo: Demo) -> Platform:
    """What the demo leaves up."""
    return Platform.of(Settings.load())


@pytest.fixture(scope="session")
def home(stack_environment: dict[str, str]) -> Path:
    return Path(stack_environment["PLATFORM_HOME"])
