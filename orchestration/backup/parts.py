"""What of PLATFORM_HOME is backed up, in which order, and what is not.

The platform goes on while a backup is made, so the parts are of different moments. The order is that of references: who
names a thing is copied before the thing. What comes later is named by nobody yet; what goes away is named by nobody any
more, or is kept until both are copied (Triton's repository, under its lock). So:

- readers before what they read: the cursors of Dagster's sensors and of the receiver of alerts before Redis with the audit
  stream. A restored sensor reads on where it was, and passes over nothing;
- a queue before where it drains to: the gateway's spool, then the stream in Redis, then Parquet. A record on its way is in
  one of them, or in two: readers deduplicate. So with trips and events (stream, then the updater's journal, then the lake);
- the rollout state, in Redis, before the models that it names; MLflow's database before its artifacts.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchestration.backup.manifest import BackupError


@dataclass(frozen=True)
class Part:
    """A file or folder under the home. `users`: its files are named by users, so that no name is taken for a draft."""

    path: str
    users: bool = False


READERS = (
    Part("follow_up"),
    Part("dagster/schedules"),  # before the runs that sensors asked for: asked again, a run key finds its run
    Part("dagster/history"),
    Part("dagster/storage", users=True),
    Part("gateway/trips"),
    Part("gateway/rollout"),
    Part("gateway/spool"),
    Part("gateway/contracts"),
)
# Of a Redis that does not run; one that does sends a snapshot.
REDIS = Part("redis", users=True)
# Redis follows READERS; these are copied with it under the lock of the repository, so that no model is retired between.
MODELS = (Part("triton/repository", users=True), Part("triton/manifest.json"))
JOURNAL = Part("features/journal")
READ = (
    Part("features/late"),
    Part("mlflow/mlflow.db"),
    Part("mlflow/artifacts", users=True),
    Part("feast"),
    Part("lake"),
    Part("reports"),
    Part("incidents", users=True),
    Part("notices.jsonl"),
    Part("event_clock"),
    Part("format.json"),
)

# Path under the home -> why it is not in a backup.
LEFT_OUT = {
    "gateway/admin-token": "a secret: drawn anew at the next start, or given by ADMIN_TOKEN_FILE",
    "alertmanager": "written anew at every start; holds the webhook's address, which is a secret; silences are lost",
    "prometheus": "written anew at every start; the history of metrics is not what anything is decided by",
    "dagster/dagster.yaml": "written anew at every start",
    "triton/backends": "made anew at every start",
    "triton/staging": "models on their way in",
    "models": "a cache of what MLflow holds",
    "backtest": "computed anew by make backtest",
    "demo": "of the last demo",
    "log": "of processes; what they did is in what they wrote",
}

# Of processes that run: nothing of it outlives them.
RUNTIME = {"platform.lock", "supervisor.sock", "supervisord.pid"}

# Drafts on their way to a rename, locks, and the companions of a SQLite file, whose content its snapshot has.
_DRAFT = re.compile(r"^\..*\.(\d+|draft)$|\.(tmp|new|lock)$|^lock$|-(wal|shm|journal)$")
_COMPANION = re.compile(r"\.(db|sqlite)-(wal|shm|journal)$")


def files_of(home: Path, part: Part) -> list[str]:
    """Paths under the home of a part's files, a folder's own before those of the folders in it.

    Raises BackupError for a folder that is a link inside a part: what lies behind it would be missing, or never end.
    """
    root = home / part.path
    if root.is_file():
        return [part.path]
    passed_over = _COMPANION if part.users else _DRAFT
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for linked in (path for path in (Path(folder, name) for name in folders) if path.is_symlink()):
            raise BackupError(
                f"{linked} is a link to a folder: what lies behind it would be missing. Put the folder there"
            )
        wanted = (Path(folder, name) for name in sorted(names) if not passed_over.search(name))
        found += [str(path.relative_to(home)) for path in wanted if path.is_file() and not _second_name(path)]
    return found


def _second_name(path: Path) -> bool:
    """Whether it is a link to a file beside it, as the latest report is: restoring makes it anew."""
    return path.is_symlink() and path.resolve().parent == path.parent.resolve()
