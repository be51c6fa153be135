"""Run one command, and leave no process of it behind, however this ends.

`python -m orchestration.embedded.keeper PARENT GRACE COMMAND...` runs COMMAND until it ends, until SIGTERM, or until the
process PARENT dies, by SIGKILL too. Then COMMAND has GRACE seconds to end in order, and what is left of it is killed.

Descendants are found by parentage. Those that made a process group or a session of their own keep it, and those whose
parent died become ours: this process is their reaper (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

import ctypes
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_STOP = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_KILL_TIMEOUT_S = 10.0


def command_line(grace_s: float, command: list[str]) -> list[str]:
    """The command that keeps `command` for the calling process."""
    return [sys.executable, "-m", "orchestration.embedded.keeper", str(os.getpid()), str(grace_s), *command]


def keep(parent: int, grace_s: float, command: list[str]) -> bool:
    """Run `command` as the module's docstring says; returns whether it ended without being killed."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    # Blocked signals wait for sigtimedwait, so that none is lost between two looks.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP | {signal.SIGCHLD})
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked to be told
        return True
    child = _start(command)
    deadline = None
    while not _reap(child):
        if deadline is not None and time.monotonic() > deadline:
            break
        received = signal.sigtimedwait(_STOP | {signal.SIGCHLD}, 1.0)
        if deadline is None and received is not None and received.si_signo in _STOP:
            os.kill(child, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
    return not kill_descendants(os.getpid())


def descendants(root: int) -> list[int]:
    """Process ids below `root`, parents before children; the dead that nobody has waited for yet are left out."""
    children: dict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        state, ppid, *_ = text.rpartition(")")[2].split()  # proc(5); the name before it may hold anything
        if state not in "ZX":
            children[int(ppid)].append(int(stat.parent.name))
    found = list(children[root])
    for pid in found:  # grows while we walk it
        found += children[pid]
    return found


def kill_descendants(root: int) -> bool:
    """Kill everything below `root`, and what it starts meanwhile; returns whether there was anything.

    Raises TimeoutError when the kernel has not ended them after 10 s.
    """
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    anything = False
    while left := descendants(root):
        anything = True
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes {left} do not end by SIGKILL")
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _reap(None)
        time.sleep(0.01)
    return anything


def _start(command: list[str]) -> int:
    """Fork and execute; this process has one thread, so that a fork is safe."""
    keeper = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        # A shell's background job ignores SIGINT, and Dagster does on SIGTERM what it finds set for SIGINT.
        for number in _STOP:
            signal.signal(number, signal.SIG_DFL)
        if os.getppid() == keeper:
            os.execvp(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


def _reap(wanted: int | None) -> bool:
    """Wait for every child that has ended; returns whether `wanted` was one of them."""
    seen = False
    try:
        while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            seen = seen or ended == wanted
    except ChildProcessError:  # no child is left
        pass
    return seen


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def main() -> int:
    """Exit 0 when the command ended by itself or by SIGTERM, 1 when something of it had to be killed."""
    parent, grace_s, *command = sys.argv[1:]
    return 0 if keep(int(parent), float(grace_s), command) else 1


if __name__ == "__main__":
    sys.exit(main())
