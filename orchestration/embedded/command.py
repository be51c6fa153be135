"""Run a command with the platform up: the one that runs on this home, else one for the time of the command."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from orchestration.embedded.claim import HomeTakenError
from orchestration.embedded.environment import NotReadyToStartError, command_environment
from orchestration.embedded.health import Probe, probes
from orchestration.embedded.stack import Stack
from orchestration.settings import Settings

ANSWER_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
KILL_TIMEOUT_S = 5.0
_PROBE = 0  # kill(2): is anybody there?
_NOT_FOUND, _NOT_RUNNABLE, _BY_SIGNAL = 127, 126, 128  # as a shell says it


def run_on_platform(settings: Settings, command: Sequence[str], say: Callable[[str], None]) -> int:
    """Run `command` and return its exit code as a shell gives it; `say` is told what happens to the platform.

    Raises NotReadyToStartError when no platform can be started, or the one of this home does not answer.
    """
    with ExitStack() as platform:
        try:
            stack = platform.enter_context(Stack(settings))
        except HomeTakenError:
            say(f"using the platform that runs on {settings.home}")
            _wait_until_it_answers(settings)
        else:
            say(f"starting a platform on {settings.home} for this command")
            stack.wait_until_healthy(lambda name, seconds: say(f"up {name} ({seconds:.1f} s)"))
            platform.callback(say, "stopping the platform")
        return run_command(command, command_environment(settings))


def run_command(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run `command` to its end. If we are interrupted, it and what it started are stopped first."""
    try:
        # A session of its own, so that a signal reaches all that it started: a shell does not hand SIGTERM down.
        process = subprocess.Popen(command, env=environment, start_new_session=True)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUNNABLE
    try:
        while process.poll() is None:  # a blocking wait would not hear Ctrl-C where polars is loaded
            time.sleep(0.1)
    except KeyboardInterrupt:
        _stop(process)
        raise
    return process.returncode if process.returncode >= 0 else _BY_SIGNAL - process.returncode


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the command's whole session to end; kill what is left of it after a while."""
    for ask, timeout_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, KILL_TIMEOUT_S)):
        if not _stands(process, ask) or _ended_within(process, timeout_s):
            break
    process.wait()  # what else stands after the kill is dead, and waits for a PID 1 that reaps nobody


def _ended_within(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while _stands(process, _PROBE):
        if time.monotonic() > deadline:
            return False
        process.poll()
        time.sleep(0.1)
    return True


def _stands(process: "subprocess.Popen[bytes]", ask: int) -> bool:
    """Send `ask` to the command's session; False where it is empty. A shell ends before what it started."""
    try:
        os.killpg(process.pid, ask)
    except ProcessLookupError:
        return False
    return True


def _wait_until_it_answers(settings: Settings) -> None:
    """It may be coming up. Raises NotReadyToStartError naming what does not answer."""
    waiting: dict[str, Probe] = probes(settings)
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while waiting := {name: healthy for name, healthy in waiting.items() if not healthy()}:
        if time.monotonic() > deadline:
            raise NotReadyToStartError(
                f"a platform runs on {settings.home}, but here nothing answers for: {', '.join(waiting)}. "
                "Set the ports that it was started with, or stop it"
            )
        time.sleep(0.2)
