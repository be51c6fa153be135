"""Notices on their way to Slack: on disk from before the first attempt until Slack has taken or refused them.

A process that dies between Slack's answer and the line that says so leaves a notice that is posted once more: told twice
is better than never.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from orchestration.json_lines import append_line, read_lines
from orchestration.notices.notice import Notice


class Waiting(Struct, frozen=True, kw_only=True, tag="waiting", tag_field="kind"):
    """A notice that is to be posted."""

    id: str
    notice: Notice


class Ended(Struct, frozen=True, kw_only=True, tag="ended", tag_field="kind"):
    """Slack has taken or refused it."""

    id: str


def put(path: Path, notice: Notice) -> None:
    """Let `notice` wait, from when the disk has it. Raises OSError."""
    append_line(path, Waiting(id=uuid.uuid4().hex, notice=notice))


def waiting(path: Path) -> list[Waiting]:
    """What waits, oldest first."""
    lines: list[Waiting | Ended] = read_lines(path, Waiting | Ended).documents
    ended = {line.id for line in lines if isinstance(line, Ended)}
    return [line for line in lines if isinstance(line, Waiting) and line.id not in ended]


def end(path: Path, one: Waiting) -> None:
    """`one` waits no more; a file in which nothing waits is emptied. Raises OSError."""
    append_line(path, Ended(id=one.id))
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # nobody adds between the look and the cut
        if not waiting(path):
            os.ftruncate(file.fileno(), 0)


@contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Whether it is ours to post now: one process at a time, so that nothing is posted twice. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(held)
