"""What is not whole is never listed, whatever ends it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.backup.folder import default_folder, listed, newest, staged
from orchestration.backup.manifest import FILES, FORMAT, BackupError, Manifest, write_manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)
MANIFEST = Manifest(format=FORMAT, made_at=NOW, home="/h", platform=1, versions={}, revisions={}, left_out={}, files=[])


def make(folder: Path, now: datetime) -> None:
    with staged(folder, now) as backup:
        (backup / FILES).mkdir()
        write_manifest(backup, MANIFEST)


def test_backups_are_named_by_their_time_and_listed_oldest_first(tmp_path: Path) -> None:
    make(tmp_path, LATER)
    make(tmp_path, NOW)
    assert [path.name for path, _ in listed(tmp_path)] == ["2026-01-02T03-04-05Z", "2026-01-02T03-04-06Z"]
    assert [manifest for _, manifest in listed(tmp_path)] == [MANIFEST, MANIFEST]
    assert newest(tmp_path).name == "2026-01-02T03-04-06Z"
    assert (newest(tmp_path).stat().st_mode & 0o777) == 0o700


def test_a_backup_under_way_is_not_listed_and_one_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with staged(tmp_path, NOW) as backup:
            (backup / "part").write_text("half")
            write_manifest(backup, MANIFEST)
            assert listed(tmp_path) == []
            raise RuntimeError("the disk")

    with pytest.raises(RuntimeError, match="the disk"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_one_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".partial-2025-01-01T00-00-00Z").mkdir()
    (tmp_path / ".partial-2025-01-01T00-00-00Z" / "manifest.json").write_text("{}")
    assert listed(tmp_path) == []
    make(tmp_path, NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "2026-01-02T03-04-05Z"]


def test_one_is_made_at_a_time_and_none_is_overwritten(tmp_path: Path) -> None:
    being_made = pytest.raises(BackupError, match="another backup is being made")
    with staged(tmp_path, NOW), being_made, staged(tmp_path, LATER):
        pass
    with pytest.raises(BackupError, match="is there already"), staged(tmp_path, NOW):
        pass


def test_a_folder_without_a_manifest_is_listed_as_what_it_is_and_is_never_the_newest(tmp_path: Path) -> None:
    make(tmp_path, NOW)
    (tmp_path / "2027-01-01T00-00-00Z").mkdir()
    assert "is no backup" in str(listed(tmp_path)[1][1])
    assert newest(tmp_path).name == "2026-01-02T03-04-05Z"
    with pytest.raises(BackupError, match="there is no backup in"):
        newest(tmp_path / "2027-01-01T00-00-00Z")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(BackupError, match=f"backups cannot be kept in {tmp_path}/file/b"),
        staged(tmp_path / "file" / "b", NOW),
    ):
        pass


def test_backups_lie_beside_the_home_not_in_it(tmp_path: Path) -> None:
    assert default_folder(tmp_path / ".local") == tmp_path / ".local.backups"
