"""Feast's registry names the lake's folders by their whole paths: in a home elsewhere they are named anew.

Its other contents stay as they were applied; `feast apply` would take the definitions of this checkout.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestration.backup.manifest import BackupError

FILE = "feast/registry.sqlite"
# The tables of feast.infra.registry.sql in which sources stand, each with the column that holds them.
_COLUMNS = {
    "data_sources": "data_source_proto",
    "feature_views": "feature_view_proto",
    "feature_services": "feature_service_proto",
    "feature_view_version_history": "feature_view_proto",
}


def move_registry(database: Path, old: Path, new: Path) -> None:
    """Let a registry (SQLite) that named files under the home `old` name the same ones under `new`.

    Raises BackupError where it still names an old one afterwards.
    """
    from feast.protos.feast.core.DataSource_pb2 import DataSource
    from feast.protos.feast.core.FeatureService_pb2 import FeatureService
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView

    kinds: dict[str, Any] = {
        "data_source_proto": DataSource,
        "feature_view_proto": FeatureView,
        "feature_service_proto": FeatureService,
    }
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in _COLUMNS.items():
            for row, data in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():  # noqa: S608  names of ours
                message: Any = kinds[column].FromString(data)
                _replace(message, f"{old}/", f"{new}/")
                moved = message.SerializeToString()
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (moved, row))  # noqa: S608
                if not new.is_relative_to(old) and f"{old}/".encode() in moved:
                    raise BackupError(f"{database}: {table} still names files under {old}")


def _replace(message: Any, old: str, new: str) -> None:
    """In every string of a protobuf message that begins with `old`."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING and not field.is_repeated:
            setattr(message, field.name, new + value.removeprefix(old) if value.startswith(old) else value)
        elif field.type == field.TYPE_MESSAGE:
            values = value if field.is_repeated else [value]
            for one in values if not _is_map(field) else []:
                _replace(one, old, new)


def _is_map(field: Any) -> bool:
    """Maps hold tags, no files."""
    return bool(field.message_type.GetOptions().map_entry)
