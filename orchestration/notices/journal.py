"""The file that keeps every notice: one JSON document a line, on disk before anybody is told."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from orchestration.notices.notice import Notice

# msgspec checks UTF-8 and depth too, but reports them by Python's own exceptions.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Kept:
    """What a journal holds, oldest first. `unreadable` are the numbers of lines that hold no notice."""

    notices: list[Notice]
    unreadable: list[int]


def append(path: Path, notice: Notice) -> None:
    """Add `notice` as one line and wait until the disk has it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = msgspec.json.encode(notice) + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # dropped with the descriptor
        os.write(descriptor, b"\n" + line if _torn(descriptor) else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Kept:
    """Every notice of the journal; none where there is no file. A line that holds none is counted, not fatal."""
    kept = Kept([], [])
    lines = path.read_bytes().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            kept.notices.append(msgspec.json.decode(line, type=Notice))
        except _UNREADABLE:
            kept.unreadable.append(number)
    return kept


def _torn(descriptor: int) -> bool:
    """Whether the last line lacks its end: its writer died."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
