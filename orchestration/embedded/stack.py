"""Start the supervised processes, wait until each is healthy, stop them all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from orchestration.embedded.environment import NotReadyToStartError, check_ports, create_dagster_storage, prepare
from orchestration.embedded.health import probes
from orchestration.settings import ROOT, Settings

STOP_TIMEOUT_S = 30.0


class Stack:
    """The embedded profile as a context: entering starts it, leaving stops every process of it."""

    def __init__(self, settings: Settings, *, start_timeout_s: float = 180.0) -> None:
        self._settings = settings
        self._start_timeout_s = start_timeout_s
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        check_ports(self._settings)
        environment = prepare(self._settings)
        create_dagster_storage(environment)
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(ROOT / "supervisord.conf")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # the terminal's Ctrl-C reaches us alone; we stop the rest in order
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def wait_until_healthy(self, announce: Callable[[str, float], None]) -> None:
        """Call `announce(service, seconds)` as each service answers.

        Raises NotReadyToStartError naming what did not come up and its log.
        """
        began = time.monotonic()
        waiting = probes(self._settings)
        while waiting:
            for name in [name for name, healthy in waiting.items() if healthy()]:
                del waiting[name]
                announce(name, time.monotonic() - began)
            if waiting and not self.running:
                raise NotReadyToStartError(f"the supervisor ended: see {self._settings.home}/log/supervisord.log")
            if waiting and time.monotonic() - began > self._start_timeout_s:
                names = ", ".join(waiting)
                raise NotReadyToStartError(
                    f"not healthy after {self._start_timeout_s:.0f} s: {names}; see {self._settings.home}/log/"
                )
            if waiting:
                time.sleep(0.2)

    @property
    def running(self) -> bool:
        """Whether the supervisor is alive."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def wait(self) -> None:
        """Block until the supervisor ends."""
        if self._supervisor is not None:
            self._supervisor.wait()

    def stop(self) -> None:
        """Ask the supervisor to stop every process group, and wait until it has."""
        if self._supervisor is None or not self.running:
            return
        self._supervisor.send_signal(signal.SIGTERM)
        try:
            self._supervisor.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._supervisor.pid, signal.SIGKILL)
            raise
