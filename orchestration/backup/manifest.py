"""The manifest of a backup: every file with size and digest, what wrote them, what was left out and why."""

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

FORMAT = 1
FILE = "manifest.json"
FILES = "home"
_CHUNK = 1 << 20

# Told of each file that is done: its path, its bytes.
Progress = Callable[[str, int], None]


class BackupError(Exception):
    """A backup could not be made, is not whole, or cannot be restored here; the message says which file and what to do."""


class Stored(Struct, frozen=True, kw_only=True):
    """One file. `path` is that under PLATFORM_HOME, and under the backup's folder `home`; `sha256` is in hex."""

    path: str
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup is.

    Attributes:
        format: of the backup itself; a newer one is refused.
        made_at: wall clock at which copying began, UTC.
        home: PLATFORM_HOME that it was made of.
        platform: the format of the files (orchestration/home_format.py).
        versions: of what wrote them, by name; redis: the server's.
        revisions: of the databases of MLflow and Dagster, by path.
        left_out: path under the home to why it is not in.
        files: in the order in which they were copied.
    """

    format: int
    made_at: datetime
    home: str
    platform: int
    versions: dict[str, str]
    revisions: dict[str, str]
    left_out: dict[str, str]
    files: list[Stored]

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def read_manifest(backup: Path) -> Manifest:
    """The manifest of the backup in this folder.

    Raises BackupError where there is none, where it is damaged, where it is of a newer format, or names a file outside.
    """
    path = backup / FILE
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Version).format
        if version > FORMAT:
            raise BackupError(
                f"{backup} is a backup of format {version}, and this platform knows formats up to {FORMAT}: restore it "
                "with the version that made it, or a newer one"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        raise BackupError(f"{backup} is no backup: it has no {FILE}") from None
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise BackupError(f"{path} cannot be read: {error}") from error
    for file in manifest.files:
        if Path(file.path).is_absolute() or ".." in Path(file.path).parts:
            raise BackupError(f"{path} names a file outside the backup: {file.path}")
    return manifest


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Write it into the folder."""
    (backup / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def verify(backup: Path, progress: Progress = lambda _path, _bytes: None) -> Manifest:
    """Read every file of a backup and compare it with the manifest.

    Raises BackupError naming each file that is missing, damaged, or not in the manifest.
    """
    manifest = read_manifest(backup)
    root = backup / FILES
    problems = []
    for file in manifest.files:
        problems += _problems(root / file.path, file)
        progress(file.path, file.bytes)
    wanted = {root / file.path for file in manifest.files}
    problems += [
        f"{path}: not in the manifest" for path in sorted(root.rglob("*")) if path.is_file() and path not in wanted
    ]
    if problems:
        raise BackupError(f"{backup} is damaged:\n" + "\n".join(f"  {problem}" for problem in problems))
    return manifest


def copy(source: Path, target: Path) -> tuple[int, str]:
    """Copy a file's content and when it was written; returns its size and digest. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size, written_ns = hashlib.sha256(), 0, source.stat().st_mtime_ns
    with target.open("wb") as copied:
        for chunk in _chunks(source):
            copied.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    os.utime(target, ns=(written_ns, written_ns))
    return size, digest.hexdigest()


def digest_of(path: Path) -> tuple[int, str]:
    """Size and digest of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


class _Version(Struct):
    format: int


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _problems(path: Path, file: Stored) -> list[str]:
    try:
        found = digest_of(path)
    except FileNotFoundError:
        return [f"{path}: missing"]
    except OSError as error:
        return [f"{path}: {error.strerror}"]
    return [] if found == (file.bytes, file.sha256) else [f"{path}: its digest is not that of the manifest"]
