"""Which revision MLflow's and Dagster's databases are at, against the one that the installed package works with.

Both migrate by Alembic: a database names its revision in the table `alembic_version`, a package brings a file for each
(https://alembic.sqlalchemy.org/en/latest/tutorial.html). The files are read here, not run: importing either package
takes seconds. What is not in SQLite under the home is the business of whoever keeps it.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_REVISION = re.compile(r"""^(down_revision|revision)\b[^=\n]*= *["'](\w+)["']""", re.MULTILINE)


class SchemaError(Exception):
    """The installed package cannot work with this database; the message says what to do."""


@dataclass(frozen=True)
class Schema:
    """A package's migrations: the folder of their files inside it, the command that upgrades, {home} and {database} in it."""

    package: str
    folder: str
    upgrade: str


MLFLOW = Schema("mlflow", "store/db_migrations/versions", ".venv/bin/mlflow db upgrade 'sqlite:///{database}'")
DAGSTER = Schema(
    "dagster", "_core/storage/alembic/versions", "DAGSTER_HOME='{home}/dagster' .venv/bin/dagster instance migrate"
)
# Under the home. Dagster upgrades the databases of the single runs with its index.
DATABASES = {
    "mlflow/mlflow.db": MLFLOW,
    "dagster/schedules/schedules.db": DAGSTER,
    "dagster/history/runs.db": DAGSTER,
    "dagster/history/runs/index.db": DAGSTER,
}


def revision_of(database: Path) -> str | None:
    """The revision that a database names; None where it is not there, or empty. Raises SchemaError where it is damaged."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=60)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise SchemaError(f"{database} cannot be read: {error}. Bring back a backup") from error
    return str(row[0]) if row else None


def revisions(home: Path) -> dict[str, str]:
    """Database, as a path under the home, to its revision, of those that have one. Raises SchemaError."""
    found = {name: revision_of(home / name) for name in DATABASES}
    return {name: revision for name, revision in found.items() if revision is not None}


def require_known(found: dict[str, str], *, of: str) -> None:
    """Raise SchemaError where a revision of `revisions` is none that the installed package has. `of`: whose they are."""
    for name, revision in found.items():
        package = DATABASES[name].package
        if revision not in known(package)[0]:
            raise SchemaError(
                f"{name} of {of} is at revision {revision}, which {package} {version(package)} does not know: a newer "
                f"{package} wrote it. Install that version (requirements.lock), or bring back a backup from before"
            )


def require_current(home: Path) -> None:
    """Raise SchemaError where a database under the home is newer or older than its package wants it."""
    found = revisions(home)
    require_known(found, of=str(home))
    for name, revision in found.items():
        schema = DATABASES[name]
        head = known(schema.package)[1]
        if revision != head:
            upgrade = schema.upgrade.format(home=home, database=home / name)
            raise SchemaError(
                f"{home / name} is at revision {revision}, and {schema.package} {version(schema.package)} works with "
                f"{head}. Make a backup (make backup), then run: {upgrade}"
            )


@cache
def known(package: str) -> tuple[frozenset[str], str]:
    """Every revision of the installed package, and its head: the one that no other comes after."""
    (schema,) = {schema for schema in DATABASES.values() if schema.package == package}
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SchemaError(f"{package} is not installed: run `make setup`")
    files = sorted((Path(spec.origin).parent / schema.folder).glob("*.py"))
    named = [match for file in files for match in _REVISION.findall(file.read_text())]
    every = frozenset(name for kind, name in named if kind == "revision")
    heads = every - {name for kind, name in named if kind == "down_revision"}
    if len(heads) != 1:
        raise SchemaError(f"the installed {package} has {len(heads)} last revisions instead of one: run `make setup`")
    return every, next(iter(heads))
