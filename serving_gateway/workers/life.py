"""One worker process as its parent sees it, from its start to its end."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from serving_gateway.workers.identity import Inherited
from serving_gateway.workers.line import READY, last_words
from serving_gateway.workers.restart import how_it_ended, overdue

STOPPING = {signal.SIGTERM, signal.SIGINT}


class Life:
    """The process, and the line to it, which ends when the process does. Raises OSError where none can be started."""

    def __init__(self, index: int, of: int, listener: socket.socket, metrics: Sequence[int]) -> None:
        self.index = index
        self.started_at = time.monotonic()
        self.told_to_stop_at: float | None = None
        self._said = b""
        self.line, theirs = socket.socketpair()
        inherited = Inherited(index, of, listener.fileno(), theirs.fileno(), tuple(metrics))
        command = [sys.executable, "-m", "serving_gateway.workers", msgspec.json.encode(inherited).decode()]
        # A signal to the whole group must not end a worker that cannot drain yet: it is kept until there is a handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self.process = subprocess.Popen(command, pass_fds=inherited.descriptors)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            theirs.close()

    @property
    def ready(self) -> bool:
        """Whether it accepts connections."""
        return self._said.startswith(READY)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self.told_to_stop_at is not None

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_at

    def hear(self) -> bool:
        """Take what it says. False: the process has ended, or is about to."""
        said = self.line.recv(4096)
        self._said += said
        return bool(said)

    def stop(self) -> None:
        """Tell it to drain and end."""
        self.told_to_stop_at = time.monotonic()
        self.process.terminate()

    def kill_if_overdue(self) -> str:
        """Kill it where it takes too long to start or to stop. Returns why, or nothing."""
        told_s = None if self.told_to_stop_at is None else time.monotonic() - self.told_to_stop_at
        why = overdue(age_s=self.age_s, ready=self.ready, told_to_stop_s=told_s)
        if why:
            self.process.kill()
        return why

    def end(self) -> str:
        """Wait for its end. Returns how it ended, in words."""
        self.line.close()
        return how_it_ended(self.process.wait(), last_words(self._said))
