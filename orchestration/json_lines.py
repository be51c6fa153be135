"""Append-only files of one JSON document a line: on disk before anybody goes on, torn by no crash, shared by processes."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

Document = TypeVar("Document")
# msgspec checks UTF-8 and depth too, but reports them by Python's own exceptions.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Lines(Generic[Document]):
    """What a file holds, oldest first. `unreadable` are the numbers of lines that hold no such document."""

    documents: list[Document]
    unreadable: list[int]


def append_line(path: Path, document: object) -> None:
    """Add `document` as one line and wait until the disk has it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = msgspec.json.encode(document) + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # dropped with the descriptor
        os.write(descriptor, b"\n" + line if _torn(descriptor) else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_lines(path: Path, kind: Any) -> Lines[Any]:
    """Every document of type `kind`; none where there is no file. A line that holds none is counted, not fatal."""
    found: Lines[Any] = Lines([], [])
    decoder = msgspec.json.Decoder(kind)
    lines = path.read_bytes().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            found.documents.append(decoder.decode(line))
        except _UNREADABLE:
            found.unreadable.append(number)
    return found


def _torn(descriptor: int) -> bool:
    """Whether the last line lacks its end: its writer died."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
