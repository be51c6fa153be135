"""How a signal or a closing terminal ends a command line."""

import os
import signal
from types import FrameType


def end_like_interrupt() -> None:
    """Let SIGTERM and SIGHUP end us the way Ctrl-C does, so that the processes are stopped too.

    A terminal that was closed fails every write: what is still said goes nowhere then, so that the stop goes on.
    """
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for descriptor in terminals:
                os.dup2(nowhere, descriptor)
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
