"""The spool: an answered row is in the operating system's hands before its answer leaves, so kill -9 loses nothing."""

import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from serving_gateway.contracts.prediction_log import encode_frame
from serving_gateway.log.loss import Loss
from serving_gateway.log.segment import SUFFIX, Segment, recovered

SEGMENT_BYTES = 8 * 1024 * 1024
SEGMENT_S = 30.0
PATIENCE_S = 3.0  # a former life may take so long to end, or a neighbour to look for orphans
DAMAGED = ".damaged"
_log = logging.getLogger(__name__)


class SpoolInUseError(Exception):
    """Another live process spools under the same gateway id."""


class Spool:
    """Appends frames to the newest of `segments` in `root`/`gateway`. Owned by one process, by a lock on the folder.

    At start it takes over the segments of its own former life and of gateways that no longer live; of those that die
    later by `orphans` and `adopt`.
    """

    def __init__(
        self,
        root: Path,
        gateway: str,
        *,
        max_bytes: int,
        on_append: Callable[[], None] = lambda: None,
        on_drop: Callable[[int], None] = lambda _records: None,
        on_damage: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._folder = root / gateway
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(self._folder, patience_s=PATIENCE_S)
        if lock is None:
            raise SpoolInUseError(f"another gateway with the id {gateway!r} is running: set GATEWAY_ID")
        self._lock = lock
        self._gateway = gateway
        self._life = f"{time.time_ns():016x}"  # no two lives share a segment name, so no landed offset
        self._number = 0
        self._max_bytes = max_bytes
        self._on_append = on_append
        self._on_drop = on_drop
        self._on_damage = on_damage
        self._clock = clock
        self.loss = Loss()
        self._file: int | None = None
        self._opened_at = 0.0
        _adopt_orphans(root, self._folder)
        found = (recovered(path) for path in sorted(self._folder.glob(f"*{SUFFIX}"), key=_age))
        self.segments: list[Segment] = [s for s in found if s is not None]

    @property
    def unlanded_bytes(self) -> int:
        """Bytes on disk that have not landed."""
        return sum(segment.size for segment in self.segments)

    def disk_bytes(self) -> tuple[int, int]:
        """Free for us, and the size, of the file system that holds the spool. Raises OSError where it is gone."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize

    def append(self, payloads: Sequence[bytes]) -> bool:
        """Write the records in one go. False: the bound is reached or the disk refused, and they are lost, counted by `on_drop`."""
        data = b"".join(map(encode_frame, payloads))
        full = self.unlanded_bytes + len(data) > self._max_bytes
        refused = f"{self._max_bytes} bytes wait to land (GATEWAY_SPOOL_MAX_BYTES)" if full else self._refused(data)
        if refused:
            self._on_drop(len(payloads))
            self.loss.lost(len(payloads), refused)
            return False
        self.loss.over()
        self._on_append()
        return True

    def orphans(self) -> list[Segment]:
        """Segments of gateways that died meanwhile, moved here for `adopt`. Reads them whole: meant for a thread."""
        found = []
        for path in sorted(_adopt_orphans(self._root, self._folder), key=_age):
            try:
                found.append(recovered(path))
            except OSError as error:
                _log.warning("segment %s cannot be read now; the next start takes it: %s", path, error)
        return [segment for segment in found if segment is not None]

    def adopt(self, orphans: Sequence[Segment]) -> None:
        """Have them shipped and landed too. The open segment stays the last."""
        self.segments[:0] = orphans

    def is_open(self, segment: Segment) -> bool:
        """Whether `segment` may still grow. An open segment that is due is closed here, so that it can land and go."""
        if self._file is not None and segment is self.segments[-1]:
            if segment.size < SEGMENT_BYTES and self._clock() - self._opened_at < SEGMENT_S:
                return True
            self._close_file()
        return False

    def delete(self, segment: Segment) -> None:
        """Forget a closed segment whose records have all landed."""
        segment.path.unlink(missing_ok=True)
        self.segments.remove(segment)

    def cut(self, segment: Segment) -> None:
        """End `segment` at what was shipped, because what follows cannot be read; a copy is set aside for whoever looks into it."""
        if segment is self.segments[-1]:
            self._close_file()
        _log.error("spool segment %s is damaged after byte %d of %d", segment.path, segment.shipped, segment.size)
        segment.size = segment.shipped
        self._on_damage()
        try:
            shutil.copyfile(segment.path, segment.path.with_suffix(DAMAGED))
        except OSError as error:
            _log.error("it cannot be set aside: %s", error)

    def close(self) -> None:
        """Close the open segment and give up the folder."""
        self._close_file()
        os.close(self._lock)

    def _refused(self, data: bytes) -> str:
        """Write `data`. Returns why the disk did not take it; nothing where it did."""
        try:
            file, segment = self._current()
            if os.write(file, data) == len(data):
                segment.size += len(data)
                return ""
            self._untear(file, segment)
        except OSError as error:
            return f"the spool cannot be written: {error}"
        return "the disk of the spool is full"

    def _untear(self, file: int, segment: Segment) -> None:
        """The disk is full: leave no torn frame before the next one."""
        try:
            os.ftruncate(file, segment.size)
        except OSError:
            self._close_file()  # the next one goes into another segment
            raise

    def _current(self) -> tuple[int, Segment]:
        if self._file is not None and self.is_open(self.segments[-1]):
            return self._file, self.segments[-1]
        self._number += 1
        path = self._folder / f"{self._gateway}.{self._life}.{self._number:08d}{SUFFIX}"
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o640)
        self._opened_at = self._clock()
        self.segments.append(Segment(path))
        return self._file, self.segments[-1]

    def _close_file(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def _age(path: Path) -> tuple[str, str]:
    """Segments in the order of their lives and numbers, whichever gateway wrote them."""
    _, life, number = path.stem.rsplit(".", 2)
    return (life, number)


def _adopt_orphans(root: Path, own: Path) -> list[Path]:
    """Move the segments of folders that no process holds into `own`. Their names, and so their landed offsets, stay."""
    moved: list[Path] = []
    try:
        for folder in root.iterdir():
            if folder == own or not folder.is_dir():
                continue
            lock = _locked(folder)
            if lock is None:
                continue
            try:
                for path in folder.glob(f"*{SUFFIX}"):
                    moved.append(path.rename(own / path.name))  # noqa: PERF401  those moved before an error count
            finally:
                os.close(lock)
    except OSError as error:  # out of descriptors, say: what lies there lies there still the next time
        _log.warning("segments of gateways that ended cannot be taken over now: %s", error)
    return moved


def _locked(folder: Path, *, patience_s: float = 0.0) -> int | None:
    """A held lock on `folder`, or None when another process holds it. It ends with the process, however that ends."""
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o640)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(lock)
                return None
            time.sleep(0.01)
        else:
            return lock
