"""Signals as bytes that a selector can wait for, and whether a hang-up is a terminal's."""

import os
import signal
import socket

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
