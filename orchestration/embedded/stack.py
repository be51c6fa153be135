"""Start the supervised processes, wait until each is healthy, stop them all."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestration.embedded.claim import claim
from orchestration.embedded.environment import NotReadyToStartError, check_ports, create_dagster_storage, prepare
from orchestration.embedded.health import probes
from orchestration.embedded.keeper import command_line, kill_descendants
from orchestration.embedded.programs import programs
from orchestration.embedded.start_checks import check_versions
from orchestration.settings import ROOT, Settings

# Two groups stop one after the other, each within supervisord's 10 s before it kills; the keeper ends what is left then.
STOP_GRACE_S = 25.0
STOP_TIMEOUT_S = STOP_GRACE_S + 10.0


class Stack:
    """The embedded profile as a context: entering starts it, leaving stops every process of it."""

    def __init__(
        self, settings: Settings, *, start_timeout_s: float = 180.0, configuration: Path = ROOT / "supervisord.conf"
    ) -> None:
        self._settings = settings
        self._start_timeout_s = start_timeout_s
        self._configuration = configuration
        self._keeper: subprocess.Popen[bytes] | None = None
        self._socket = Path()

    def __enter__(self) -> Self:
        with claim(self._settings.home) as lock:
            check_ports(self._settings)
            check_versions(self._settings)
            environment = prepare(self._settings)
            create_dagster_storage(environment)
            self._socket = Path(environment["SUPERVISOR_SOCKET"])
            supervisord = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)]
            self._keeper = subprocess.Popen(
                command_line(STOP_GRACE_S, supervisord),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # the terminal's Ctrl-C reaches us alone; we stop the rest in order
                pass_fds=(lock,),  # the home is taken until the last process of it has ended
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def wait_until_healthy(self, announce: Callable[[str, float], None]) -> None:
        """Call `announce(service, seconds)` as each service answers.

        Raises NotReadyToStartError naming what did not come up and its log, at once where a program has been given up.
        """
        began = time.monotonic()
        waiting = probes(self._settings)
        while waiting:
            for name in [name for name, healthy in waiting.items() if healthy()]:
                del waiting[name]
                announce(name, time.monotonic() - began)
            if waiting:
                self._require_hope(list(waiting), time.monotonic() - began)
                time.sleep(0.2)

    @property
    def running(self) -> bool:
        """Whether the supervisor is alive."""
        return self._keeper is not None and self._keeper.poll() is None

    def wait(self) -> None:
        """Block until the supervisor ends.

        By looking again and again: polars handles SIGINT in a way that restarts a blocking wait, and Ctrl-C would be
        heard only when that ends.
        """
        while self.running:
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask every process to stop, wait until it has, and kill what does not; an interrupted wait kills at once."""
        if self._keeper is None:
            return
        self._keeper.terminate()
        try:
            self._keeper.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass  # it hangs itself: what it keeps is killed below, and so is it
        finally:
            kill_descendants(self._keeper.pid)
            self._keeper.kill()
            self._keeper.wait()
            self._wait_for_supervisor()
            if self._socket.parent != self._settings.home:
                shutil.rmtree(self._socket.parent, ignore_errors=True)

    def _wait_for_supervisor(self) -> None:
        """A supervisor outlives a keeper that somebody killed by the time it takes to stop its programs."""
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while programs(self._socket) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _require_hope(self, waiting: list[str], seconds: float) -> None:
        """Raise NotReadyToStartError where waiting for these services longer is vain."""
        if not self.running:
            raise NotReadyToStartError(f"the supervisor ended: see {self._settings.home}/log/supervisord.log")
        for program in programs(self._socket):
            if program.state == "FATAL":
                raise NotReadyToStartError(
                    f"{program.name} does not start ({program.error}); the end of {program.log}:\n{program.log_end()}"
                )
        if seconds > self._start_timeout_s:
            names = ", ".join(waiting)
            raise NotReadyToStartError(
                f"not healthy after {self._start_timeout_s:.0f} s: {names}; see {self._settings.home}/log/"
            )
