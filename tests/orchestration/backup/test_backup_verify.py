"""A backup of a stopped home: what is in it, and every damage found by name."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from orchestration.backup.__main__ import main
from orchestration.backup.create import create
from orchestration.backup.manifest import FORMAT, BackupError, read_manifest, verify
from orchestration.home_format import RESTORING
from orchestration.settings import Settings
from tests.orchestration.backup.homes import contents, database


def test_a_stopped_homes_files_are_in_and_its_secret_is_not(home: Path, backup: Path) -> None:
    manifest = verify(backup)
    paths = {file.path for file in manifest.files}
    assert paths == contents(home).keys() - {"gateway/admin-token"}
    assert (backup / "home" / "redis" / "appendonly.aof").read_bytes() == b"*1\r\n"
    assert "a secret" in manifest.left_out["gateway/admin-token"]
    assert set(manifest.revisions) == {
        "mlflow/mlflow.db",
        "dagster/history/runs.db",
        "dagster/history/runs/index.db",
        "dagster/schedules/schedules.db",
    }
    assert {"dagster", "mlflow", "feast", "redis"} == set(manifest.versions)
    assert (manifest.format, manifest.home) == (FORMAT, str(home))


def test_a_database_in_wal_mode_is_one_file_with_what_was_not_checkpointed(home: Path, tmp_path: Path) -> None:
    path = home / "feast" / "registry.sqlite"
    database(path, wal=True)
    with closing(sqlite3.connect(path)) as writer:  # open, so that the log is not folded in
        writer.execute("INSERT INTO t VALUES (77, NULL)")
        writer.commit()
        assert (home / "feast" / "registry.sqlite-wal").stat().st_size > 0
        made = create(Settings(home=home), tmp_path / "backups")
    assert [path.name for path in (made / "home" / "feast").iterdir()] == ["registry.sqlite"]
    with closing(sqlite3.connect(made / "home" / "feast" / "registry.sqlite")) as copied:
        assert copied.execute("SELECT count(*), max(n) FROM t").fetchone() == (11, 77)
        assert copied.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_transaction_under_way_is_not_in_it(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db", isolation_level=None)) as writer:
        writer.execute("BEGIN")
        writer.execute("INSERT INTO t VALUES (77, NULL)")
        made = create(Settings(home=home), tmp_path / "backups")
        writer.execute("ROLLBACK")
    with closing(sqlite3.connect(made / "home" / "mlflow" / "mlflow.db")) as copied:
        assert copied.execute("SELECT max(n) FROM t").fetchone() == (9,)


def test_a_damaged_database_is_no_backup(home: Path, tmp_path: Path) -> None:
    path = home / "mlflow" / "mlflow.db"
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(BackupError, match=r"mlflow\.db|malformed"):
        create(Settings(home=home), tmp_path / "backups")
    assert main(["list", "--folder", str(tmp_path / "backups")]) == 0
    assert not list((tmp_path / "backups").glob("[0-9.]*-*"))


def test_a_home_that_is_not_there_or_was_half_restored_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="PLATFORM_HOME"):
        create(Settings(home=tmp_path / "none"), tmp_path / "backups")
    (home / RESTORING).touch()
    with pytest.raises(BackupError, match="was interrupted"):
        create(Settings(home=home), tmp_path / "backups")


def test_each_damage_is_named(backup: Path) -> None:
    files = backup / "home"
    flipped = bytearray((files / "lake/raw/day=001.parquet").read_bytes())
    flipped[500] ^= 1
    (files / "lake/raw/day=001.parquet").write_bytes(flipped)
    (files / "notices.jsonl").unlink()
    (files / "planted").touch()
    with pytest.raises(BackupError) as raised:
        verify(backup)
    assert [line.strip().removeprefix(f"{files}/") for line in str(raised.value).splitlines()[1:]] == [
        "lake/raw/day=001.parquet: its digest is not that of the manifest",
        "notices.jsonl: missing",
        "planted: not in the manifest",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": FORMAT + 1, "home": 7}, f"of format {FORMAT + 1}, and this platform knows formats up to {FORMAT}"),
        ({"made_at": "yesterday"}, r"manifest\.json cannot be read: .*\$\.made_at"),
        (
            {"files": [{"path": "../outside", "bytes": 1, "sha256": ""}]},
            r"names a file outside the backup: \.\./outside",
        ),
        (
            {"files": [{"path": "/etc/passwd", "bytes": 1, "sha256": ""}]},
            "names a file outside the backup: /etc/passwd",
        ),
    ],
)
def test_a_manifest_of_another_kind_is_refused(backup: Path, change: dict[str, object], message: str) -> None:
    path = backup / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BackupError, match=message):
        read_manifest(backup)


def test_half_a_manifest_is_refused(backup: Path) -> None:
    path = backup / "manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BackupError, match=r"manifest\.json cannot be read"):
        read_manifest(backup)


def test_the_command_line_makes_lists_verifies(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(home))
    assert main(["list"]) == 0
    assert capsys.readouterr().out == f"No backups in {home}.backups.\n"
    assert main(["verify"]) == 1
    assert "there is no backup in" in capsys.readouterr().err
    assert main(["create"]) == 0
    made = capsys.readouterr().out
    (backup,) = [path for path in (tmp_path / "home.backups").iterdir() if path.name != ".lock"]
    assert made.startswith(f"{backup}: {len(read_manifest(backup).files)} files")
    assert "left out: gateway/admin-token (a secret" in made
    assert main(["list"]) == 0
    assert backup.name in capsys.readouterr().out
    assert main(["verify"]) == main(["verify", backup.name]) == main(["verify", str(backup)]) == 0
    assert capsys.readouterr().out.count("is whole") == 3
    (backup / "home" / "notices.jsonl").unlink()
    assert main(["verify", backup.name]) == 1
    assert "notices.jsonl: missing" in capsys.readouterr().err


def test_the_manifest_is_what_was_written(backup: Path) -> None:
    manifest = read_manifest(backup)
    assert msgspec.json.decode((backup / "manifest.json").read_bytes()) == json.loads(msgspec.json.encode(manifest))
