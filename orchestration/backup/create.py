"""Make a backup of a home, whether its platform runs or not."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from orchestration.backup.folder import staged
from orchestration.backup.manifest import (
    FILES,
    FORMAT,
    BackupError,
    Manifest,
    Progress,
    Stored,
    copy,
    digest_of,
    write_manifest,
)
from orchestration.backup.parts import JOURNAL, LEFT_OUT, MODELS, READ, READERS, REDIS, RUNTIME, Part, files_of
from orchestration.backup.redis_snapshot import RESTORED_AS, belongs_to, snapshot
from orchestration.embedded.claim import HomeTakenError, claim
from orchestration.embedded.environment import NotReadyToStartError
from orchestration.home_format import FORMAT as PLATFORM
from orchestration.home_format import RESTORING, HomeFormatError, installed_versions, read_format
from orchestration.publishing.repository import Repository, RepositoryBusyError
from orchestration.schema_revisions import DATABASES, SchemaError, revision_of
from orchestration.settings import Settings

_SQLITE = b"SQLite format 3\0"
_TRIES = 5


def create(settings: Settings, folder: Path, progress: Progress = lambda _path, _bytes: None) -> Path:
    """Back up `settings.home` into a new folder in `folder`; returns its path.

    Raises BackupError saying what stands in the way; then there is no new backup, and nothing of it is left.
    """
    home = settings.home
    if not home.is_dir():
        raise BackupError(f"there is nothing to back up: {home} is not there (PLATFORM_HOME)")
    if (home / RESTORING).exists():
        raise BackupError(f"a restore into {home} was interrupted: there is nothing whole to back up")
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        with staged(folder, now) as backup, _redis(settings) as redis:
            copying = _Copying(home, backup / FILES, progress)
            version = _copy_all(copying, settings, redis)
            write_manifest(backup, _manifest(settings, now, copying, version))
    except (OSError, NotReadyToStartError, RepositoryBusyError, SchemaError, HomeFormatError, sqlite3.Error) as error:
        raise BackupError(f"no backup was made: {error}") from error
    return folder / f"{now:%Y-%m-%dT%H-%M-%SZ}"


def size_of(settings: Settings) -> int:
    """About how many bytes a backup will take, Redis aside."""
    parts = (*READERS, *MODELS, JOURNAL, *READ)
    paths = (settings.home / path for part in parts for path in files_of(settings.home, part))
    return sum(path.stat().st_size for path in paths if path.exists())


@dataclass(frozen=True)
class _Copying:
    """What has been copied from `home` to `target` so far."""

    home: Path
    target: Path
    progress: Progress
    done: dict[str, Stored] = field(default_factory=dict)

    def parts(self, parts: Sequence[Part]) -> None:
        """Copy the files of each. Where one has gone since it was listed, it may have another name now: look again."""
        for part in parts:
            while not all(self.file(path) for path in files_of(self.home, part) if path not in self.done):
                continue

    def file(self, path: str) -> bool:
        """Copy one file, a database by its snapshot; returns whether it was there still."""
        source, target = self.home / path, self.target / path
        try:
            size, digest = _database(source, target) if _is_database(source) else copy(source, target)
        except FileNotFoundError:
            target.unlink(missing_ok=True)
            return False
        self.keep(path, size, digest)
        return True

    def keep(self, path: str, size: int, digest: str) -> None:
        self.done[path] = Stored(path=path, bytes=size, sha256=digest)
        self.progress(path, size)


# Puts Redis into the backup; returns the version of a server that runs.
_Redis = Callable[[_Copying], str | None]


def _copy_all(copying: _Copying, settings: Settings, redis: _Redis) -> str | None:
    """See parts.py for the order. Returns what `redis` does."""
    copying.parts(READERS)
    with Repository.of(settings).locked():
        version = redis(copying)
        copying.parts(MODELS)
    _copy_journal(copying)
    copying.parts(READ)
    return version


def _copy_journal(copying: _Copying) -> None:
    """The updater's journal: `base.json` and the folder that it names, which goes when a new base comes."""
    base = copying.home / JOURNAL.path / "base.json"
    for _ in range(_TRIES):
        before = base.read_bytes() if base.exists() else None
        copying.parts([JOURNAL])
        if before == (base.read_bytes() if base.exists() else None):
            return
        for path in [path for path in copying.done if path.startswith(f"{JOURNAL.path}/")]:
            del copying.done[path]
            (copying.target / path).unlink()
    raise BackupError(f"no backup was made: {base} is replaced again and again")


@contextmanager
def _redis(settings: Settings) -> Iterator[_Redis]:
    """A running Redis sends a snapshot; the files of one that is stopped are copied, and nobody may start it meanwhile."""
    with ExitStack() as stopped:
        if os.environ.get("REDIS_URL"):
            yield partial(_snapshot, settings.redis_url)
            return
        try:
            stopped.enter_context(claim(settings.home))
        except HomeTakenError:
            if not belongs_to(settings.redis_url, settings.home / "redis"):
                raise BackupError(
                    f"the Redis on port {settings.redis_port} is not that of {settings.home}: set REDIS_PORT to its port"
                ) from None
            yield partial(_snapshot, settings.redis_url)
        else:
            yield _files


def _files(copying: _Copying) -> None:
    copying.parts([REDIS])


def _snapshot(url: str, copying: _Copying) -> str:
    target = copying.target / RESTORED_AS
    version = snapshot(url, target)
    copying.keep(RESTORED_AS, *digest_of(target))
    return version


def _manifest(settings: Settings, now: datetime, copying: _Copying, redis: str | None) -> Manifest:
    versions = installed_versions() | ({"redis": redis} if redis else {})
    found = read_format(settings.home)
    revisions = {name: revision_of(copying.target / name) for name in DATABASES if name in copying.done}
    return Manifest(
        format=FORMAT,
        made_at=now,
        home=str(settings.home),
        platform=found.format if found else PLATFORM,
        versions=versions,
        revisions={name: revision for name, revision in revisions.items() if revision},
        left_out=_left_out(settings),
        files=list(copying.done.values()),
    )


def _left_out(settings: Settings) -> dict[str, str]:
    home = settings.home
    found = {path: why for path, why in LEFT_OUT.items() if (home / path).exists()}
    outside = {"REPORTS_PATH": settings.reports, "INCIDENTS_PATH": settings.incidents}
    found |= {
        str(path): f"{name} lies outside the home" for name, path in outside.items() if not path.is_relative_to(home)
    }
    if settings.features_redis_url != settings.redis_url:
        found["FEATURES_REDIS_URL"] = "an online store of its own: the updater writes it anew from lake and journal"
    if not (home / "dagster" / "history" / "runs.db").exists():
        found["dagster"] = "its storage is not in SQLite here: where it is PostgreSQL, pg_dump has to back it up"
    if not (home / "mlflow" / "mlflow.db").exists():
        found["mlflow"] = "its database is not in SQLite here: where it is PostgreSQL, pg_dump has to back it up"
    return found | dict.fromkeys(_unknown(home), "none of the platform's")


def _unknown(home: Path) -> list[str]:
    known = {part.path.split("/")[0] for part in (*READERS, REDIS, *MODELS, JOURNAL, *READ)} | LEFT_OUT.keys() | RUNTIME
    return sorted(path.name for path in home.iterdir() if path.name not in known)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _database(source: Path, target: Path) -> tuple[int, str]:
    """A snapshot of a SQLite database that others write (https://www.sqlite.org/backup.html), and a look whether it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=60)
    except sqlite3.OperationalError:
        source.stat()  # FileNotFoundError where it has gone
        raise
    with closing(opened) as live, closing(sqlite3.connect(target)) as copied:
        live.backup(copied)
        (found,) = copied.execute("PRAGMA quick_check").fetchone()
        if found != "ok":
            raise BackupError(f"no backup was made: {source} is damaged: {found}")
    return digest_of(target)
