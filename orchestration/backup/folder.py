"""The folder of the backups: one folder each, named by its time; what is not whole has another name and is never listed."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from orchestration.backup.manifest import BackupError, Manifest, read_manifest

_PARTIAL = ".partial-"


def default_folder(home: Path) -> Path:
    """Beside the home, for what lies in it goes with it."""
    return home.with_name(f"{home.name}.backups")


def listed(folder: Path) -> list[tuple[Path, Manifest | BackupError]]:
    """Every backup that was finished, oldest first, with its manifest or what is wrong with it."""
    if not folder.is_dir():
        return []
    return [
        (path, _manifest(path)) for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")
    ]


def newest(folder: Path) -> Path:
    """The last backup. Raises BackupError where there is none."""
    found = [path for path, manifest in listed(folder) if isinstance(manifest, Manifest)]
    if not found:
        raise BackupError(f"there is no backup in {folder}: make one by `make backup`")
    return found[-1]


@contextmanager
def staged(folder: Path, now: datetime) -> Iterator[Path]:
    """A folder to fill, which becomes the backup named by `now` (UTC) when the block ends well, and goes when it does not.

    One backup at a time, over processes. What a killed one left is removed. Raises BackupError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # a log of predictions is not for everybody
    except OSError as error:
        raise BackupError(f"backups cannot be kept in {folder}: {error.strerror}") from error
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup is being made in {folder}: wait for it") from None
        for left in folder.glob(f"{_PARTIAL}*"):
            shutil.rmtree(left)
        name = f"{now:%Y-%m-%dT%H-%M-%SZ}"
        if (folder / name).exists():
            raise BackupError(f"{folder / name} is there already: wait a second")
        partial = folder / f"{_PARTIAL}{name}"
        partial.mkdir(mode=0o700)
        try:
            yield partial
            os.sync()  # the disk has all of it before its name says so
            partial.rename(folder / name)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        os.sync()


def _manifest(path: Path) -> Manifest | BackupError:
    try:
        return read_manifest(path)
    except BackupError as error:
        return error
