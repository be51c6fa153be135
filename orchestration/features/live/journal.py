"""The journal: accepted events on disk before anybody reads what follows from them. Redis may lose its memory, it does not.

<folder>/lock                   held by the updater that writes here
<folder>/base.json              the base whose journal counts
<folder>/<base id>/events.jsonl one record a line
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from orchestration.features.live.base import Base
from orchestration.features.live.events import Event

_log = logging.getLogger(__name__)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class JournalTakenError(RuntimeError):
    """Another updater writes this journal."""


class Record(Struct, frozen=True, kw_only=True):
    """One line. `event` is None where only the position moved: what came was known, late or no event."""

    id: str
    watermark_us: int
    event: Event | None = None


_DECODER = msgspec.json.Decoder(Record)


class Journal:
    """The journal of one updater; a context, for it is locked."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, and read which base counts. Raises JournalTakenError, or ValueError for a broken base.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._file: int | None = None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise JournalTakenError(f"another updater runs on {folder}: stop it first, or set PLATFORM_HOME") from None
        kept = folder / "base.json"
        self.base = msgspec.json.decode(kept.read_bytes(), type=Base) if kept.exists() else None
        self._remove_others()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
        os.close(self._lock)

    def records(self) -> Iterator[Record]:
        """What was appended since the base, in order. The last line is cut off where its writer died within it.

        A line that is damaged otherwise is told and passed over: the rest stands.
        """
        if self.base is None or not (path := self._path(self.base)).exists():
            return
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            _log.warning("%s: the last %d bytes are no whole line and are cut off", path, len(data) - whole)
            os.truncate(path, whole)
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                yield _DECODER.decode(line)
            except _UNREADABLE as error:
                _log.error("%s:%d is damaged and passed over: %s", path, number, error)

    def append(self, records: Iterable[Record]) -> None:
        """Add records and wait until the disk has them. Raises OSError; then nothing is to be believed of them."""
        if self.base is None:
            raise RuntimeError("nothing can be kept before a base is set")
        if self._file is None:
            self._file = os.open(self._path(self.base), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        _write(self._file, records)

    def begin(self, base: Base, records: Iterable[Record]) -> None:
        """Start the journal of a new base with these records; the one before is removed. A crash leaves one or the other."""
        path = self._path(base)
        path.parent.mkdir(exist_ok=True)
        with _created(path) as file:
            _write(file, records)
        staged = self._folder / "base.json.new"
        with _created(staged) as file:
            os.write(file, msgspec.json.encode(base))
            os.fsync(file)
        staged.replace(self._folder / "base.json")
        _sync(self._folder)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self.base = base
        self._remove_others()

    def _path(self, base: Base) -> Path:
        return self._folder / base.id / "events.jsonl"

    def _remove_others(self) -> None:
        kept = self.base.id if self.base else None
        for folder in [f for f in self._folder.iterdir() if f.is_dir() and f.name != kept]:
            shutil.rmtree(folder)


def _write(file: int, records: Iterable[Record]) -> None:
    data = memoryview(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    while data:
        data = data[os.write(file, data) :]
    os.fsync(file)


@contextmanager
def _created(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        yield file
    finally:
        os.close(file)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Let the disk have the names in a folder too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
