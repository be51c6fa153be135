"""Small homes with real files in them, for tests that need no server."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from orchestration.schema_revisions import DATABASES, known


def database(path: Path, revision: str | None = None, *, rows: int = 10, wal: bool = False) -> None:
    """A SQLite database with a table `t` and, as Alembic leaves it, the revision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n INTEGER, padding BLOB)")
        connection.executemany("INSERT INTO t VALUES (?, zeroblob(4000))", [(n,) for n in range(rows)])
        if revision is not None:
            connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))


def small_home(home: Path, *, files: int = 3, bytes_each: int = 1000) -> Path:
    """A stopped platform's state: an append-only file, databases at their heads, a lake, a model, notices."""
    for path, data in {
        "redis/appendonly.aof": b"*1\r\n",
        "triton/manifest.json": b'["m_v1"]\n',
        "triton/repository/m_v1/config.pbtxt": b"backend",
        "features/journal/base.json": b"{}",
        "gateway/admin-token": b"t0p-secret\n",
        "notices.jsonl": b"{}\n",
        **{f"lake/raw/day={n:03}.parquet": bytes([n % 256]) * bytes_each for n in range(files)},
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data)
    for name, schema in DATABASES.items():
        database(home / name, known(schema.package)[1])
    return home


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file, but for locks."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }
