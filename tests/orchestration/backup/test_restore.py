"""A stopped home comes back as it was, and whatever stands in the way is said before anything is changed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from orchestration.backup import restore as subject
from orchestration.backup.__main__ import main
from orchestration.backup.create import create
from orchestration.backup.manifest import BackupError, Manifest, copy, read_manifest, write_manifest
from orchestration.backup.restore import restore
from orchestration.drift.folder import mark_latest, reports
from orchestration.embedded.claim import claim
from orchestration.home_format import FORMAT, RESTORING
from orchestration.settings import Settings
from tests.orchestration.backup.homes import contents


def changed(backup: Path, **changes: object) -> None:
    manifest: Manifest = msgspec.structs.replace(read_manifest(backup), **changes)
    write_manifest(backup, manifest)


def refused(backup: Path, home: Path, message: str) -> None:
    before = contents(home) if home.exists() else {}
    with pytest.raises(BackupError, match=message):
        restore(backup, home)
    assert (contents(home) if home.exists() else {}) == before
    assert not (home / RESTORING).exists()


def test_it_comes_back_elsewhere_as_it_was_and_can_be_backed_up_again(home: Path, backup: Path, tmp_path: Path) -> None:
    restore(backup, tmp_path / "new" / "home")
    wanted = contents(backup / "home")
    assert contents(tmp_path / "new" / "home") == wanted
    again = create(Settings(home=tmp_path / "new" / "home"), tmp_path / "more")
    assert contents(again / "home") == wanted


def test_reports_keep_their_order_and_the_newest_is_the_latest(home: Path, tmp_path: Path) -> None:
    folder = home / "reports" / "drift"
    folder.mkdir(parents=True)
    for age, name in ((5000, "2013-05-02"), (4000, "2013-05-01")):  # event time went back
        for file in (folder / f"{name}.json", folder / f"{name}.html"):
            file.write_text("{}")
            os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    mark_latest(folder, "2013-05-01")
    made = create(Settings(home=home), tmp_path / "backups")
    restore(made, tmp_path / "new")
    found = reports(tmp_path / "new" / "reports" / "drift")
    assert [path.stem for path in found] == ["2013-05-01", "2013-05-02"]
    assert found[0].stat().st_mtime == 1_700_000_000 - 4000
    for ending in ("html", "json"):
        latest = found[0].with_name(f"latest.{ending}")
        assert latest.is_symlink()
        assert latest.resolve().stem == "2013-05-01"


def test_a_new_volume_is_empty_with_what_image_and_file_system_bring(backup: Path, tmp_path: Path) -> None:
    for folder in ("lost+found", "redis", "triton/repository", "dagster"):
        (tmp_path / "volume" / folder).mkdir(parents=True)
    (tmp_path / "volume" / "dagster" / "dagster.yaml").touch()
    restore(backup, tmp_path / "volume")
    assert (tmp_path / "volume" / "lake" / "raw").is_dir()


def test_a_home_with_something_in_it_is_refused(home: Path, backup: Path, tmp_path: Path) -> None:
    refused(backup, home, r"is not empty \(dagster/history/runs\.db, .*\): set PLATFORM_HOME")


def test_a_home_that_a_platform_runs_on_is_refused(home: Path, backup: Path) -> None:
    with claim(home):
        refused(backup, home, f"a platform already runs on {home}")


def test_a_damaged_file_is_named_before_anything_is_written(backup: Path, tmp_path: Path) -> None:
    (backup / "home" / "notices.jsonl").write_text("other\n")
    refused(backup, tmp_path / "new", r"notices\.jsonl: its digest is not that of the manifest")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"platform": FORMAT + 1}, f"is of format {FORMAT + 1}, and this platform knows formats up to {FORMAT}"),
        ({"versions": {"feast": "99.1.0"}}, r"was written with feast 99\.1\.0, and .* is installed"),
        ({"versions": {"redis": "99.0.0"}}, r"was written with redis 99\.0\.0"),
        (
            {"revisions": {"mlflow/mlflow.db": "feedfacecafe"}},
            "at revision feedfacecafe, which mlflow .* does not know",
        ),
        ({"revisions": {"dagster/history/runs.db": "ab"}}, "at revision ab, which dagster .* does not know"),
    ],
)
def test_what_newer_versions_wrote_is_refused(
    backup: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    changed(backup, **changes)
    refused(backup, tmp_path / "new", message)


def test_artifacts_that_lie_in_the_old_home_are_refused_elsewhere_and_welcome_there(home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as connection, connection:
        for table, column in subject._ARTIFACTS:
            connection.execute(f"CREATE TABLE {table} ({column} TEXT)")
        connection.execute("INSERT INTO runs VALUES (?)", (f"file://{home}/mlflow/artifacts/1",))
    backup = create(Settings(home=home), tmp_path / "backups")
    refused(backup, tmp_path / "new", rf"\(runs: file://{home}/mlflow/artifacts/1\): restore to {home}")
    home.rename(tmp_path / "destroyed")
    restore(backup, home)
    assert (home / "mlflow" / "mlflow.db").exists()


def test_an_interrupted_restore_leaves_a_home_that_says_so(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tired(source: Path, target: Path) -> tuple[int, str]:
        if target.name == "manifest.json":
            raise KeyboardInterrupt
        return copy(source, target)

    monkeypatch.setattr(subject, "copy", tired)
    with pytest.raises(KeyboardInterrupt):
        restore(backup, tmp_path / "new")
    assert (tmp_path / "new" / RESTORING).exists()
    monkeypatch.undo()
    refused_again = r"is not empty"
    with pytest.raises(BackupError, match=refused_again):
        restore(backup, tmp_path / "new")


def test_the_command_line_restores_into_platform_home(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path / "new"))
    assert main(["restore", str(backup)]) == 0
    assert (
        f"{tmp_path}/new is as it was at {read_manifest(backup).made_at:%Y-%m-%d %H:%M:%S} UTC"
        in capsys.readouterr().out
    )
    assert main(["restore", backup.name, "--folder", str(backup.parent)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert main(["restore", "none"]) == 1
    assert "new.backups/none is no backup" in capsys.readouterr().err
