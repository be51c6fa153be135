"""Signals as bytes that a selector can wait for, and whether a hang-up is a terminal's."""

import os
import signal
import socket
from collections.abc import Iterable

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def as_bytes() -> socket.socket:
    """From now on HANDLED do nothing but arrive here, a byte each: the signal's number."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    for number in HANDLED:
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(theirs.detach())
    return ours


def has_terminal() -> bool:
    """Whether the process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def on_terminal() -> list[int]:
    """Which of standard output and error go to a terminal."""
    return [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]


def discard(descriptors: Iterable[int]) -> None:
    """From now on what is written there goes nowhere: a terminal that is gone makes the interpreter's last flush fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in descriptors:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
