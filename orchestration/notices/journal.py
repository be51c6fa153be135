"""The file that keeps every notice: one JSON document a line, on disk before anybody is told."""

from dataclasses import dataclass
from pathlib import Path

from orchestration.json_lines import append_line, read_lines
from orchestration.notices.notice import Notice


@dataclass(frozen=True)
class Kept:
    """What a journal holds, oldest first. `unreadable` are the numbers of lines that hold no notice."""

    notices: list[Notice]
    unreadable: list[int]


def append(path: Path, notice: Notice) -> None:
    """Add `notice` as one line and wait until the disk has it. Raises OSError."""
    append_line(path, notice)


def read(path: Path) -> Kept:
    """Every notice of the journal; none where there is no file. A line that holds none is counted, not fatal."""
    lines = read_lines(path, Notice)
    return Kept(lines.documents, lines.unreadable)
