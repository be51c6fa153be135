"""Restore a backup into an empty home."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestration import home_format, schema_revisions
from orchestration.backup.manifest import FILES, BackupError, Manifest, Progress, copy, verify
from orchestration.backup.parts import LEFT_OUT
from orchestration.backup.registry import FILE as REGISTRY
from orchestration.backup.registry import move_registry
from orchestration.drift.folder import mark_latest, reports
from orchestration.embedded.claim import claim
from orchestration.embedded.environment import NotReadyToStartError

_LOCK = "platform.lock"
_MLFLOW = "mlflow/mlflow.db"
# Where MLflow says that files lie.
_ARTIFACTS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)


def restore(backup: Path, home: Path, progress: Progress = lambda _path, _bytes: None) -> Manifest:
    """Bring the backup in this folder back as `home`; returns its manifest.

    Everything is looked at first: a backup that is refused has changed nothing. One that is interrupted leaves a home that
    no platform starts on. `progress` is told of each file twice: read and compared, then restored.

    Raises:
        BackupError: the backup is damaged (naming the file), of a newer format, or of newer versions than are installed
            here; the home is not empty, or a platform runs on it; MLflow's files lie in the old home.
    """
    manifest = verify(backup, progress)
    files = backup / FILES
    _require_readable(backup, manifest)
    _require_relative_artifacts(files / _MLFLOW, manifest, home)
    try:
        _require_empty(home)
        with claim(home):
            marker = home / home_format.RESTORING
            marker.touch()
            _copy(manifest, files, home, progress)
            _name_latest_report(home / "reports" / "drift")
            if str(home) != manifest.home and (home / REGISTRY).exists():
                move_registry(home / REGISTRY, Path(manifest.home), home)
            os.sync()  # all of it is on the disk before the mark goes
            marker.unlink()
            os.sync()
    except (OSError, NotReadyToStartError, sqlite3.Error) as error:
        raise BackupError(f"nothing that is whole was restored: {error}") from error
    return manifest


def _copy(manifest: Manifest, files: Path, home: Path, progress: Progress) -> None:
    for file in manifest.files:
        if copy(files / file.path, home / file.path) != (file.bytes, file.sha256):
            raise BackupError(f"{files / file.path} changed while it was restored: empty {home} and restore again")
        progress(file.path, file.bytes)


def _name_latest_report(folder: Path) -> None:
    if written := reports(folder):
        mark_latest(folder, written[0].stem)


def _require_readable(backup: Path, manifest: Manifest) -> None:
    """Whether what is installed here reads what wrote the files."""
    found = home_format.HomeFormat(format=manifest.platform, versions=manifest.versions)
    try:
        home_format.require_known(found, home_format.installed_versions(), of=f"the backup {backup}")
        schema_revisions.require_known(manifest.revisions, of=f"the backup {backup}")
    except (home_format.HomeFormatError, schema_revisions.SchemaError) as error:
        raise BackupError(str(error)) from error


def _require_relative_artifacts(database: Path, manifest: Manifest, home: Path) -> None:
    """MLflow's server names artifacts relative to its own folder; a client that wrote past it names them by their paths."""
    if not database.exists() or str(home) == manifest.home:
        return
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table, column in ((table, column) for table, column in _ARTIFACTS if table in tables):
            query = f"SELECT {column} FROM {table} WHERE instr({column}, ?) LIMIT 1"  # noqa: S608  names of ours
            if found := connection.execute(query, (f"{manifest.home}/",)).fetchone():
                raise BackupError(
                    f"MLflow names files of the home that was backed up ({table}: {found[0]}): restore to {manifest.home}"
                )


def _require_empty(home: Path) -> None:
    """No files: folders alone are what a new volume has from its image."""
    if (home / _LOCK).exists():
        with claim(home):  # a platform that runs says so
            pass
    held = sorted(str(path.relative_to(home)) for path in home.rglob("*") if not path.is_dir())
    if some := [path for path in held if path not in (_LOCK, *LEFT_OUT)]:
        raise BackupError(
            f"{home} is not empty ({', '.join(some[:3])}): set PLATFORM_HOME to an empty folder, or move that one away"
        )
