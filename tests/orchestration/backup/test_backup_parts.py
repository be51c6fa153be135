"""Every file of the platform's is in a backup or left out by name, and the order of the parts is that of references."""

from pathlib import Path

import pytest

from orchestration.backup.manifest import BackupError
from orchestration.backup.parts import JOURNAL, LEFT_OUT, MODELS, READ, READERS, REDIS, Part, files_of
from orchestration.settings import Settings

ORDER = [part.path for part in (*READERS, REDIS, *MODELS, JOURNAL, *READ)]


def place(path: str) -> int:
    return ORDER.index(path)


def test_every_path_of_the_settings_is_in_or_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REPORTS_PATH", "INCIDENTS_PATH"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(home=tmp_path)
    values = [getattr(settings, name) for name, value in vars(Settings).items() if isinstance(value, property)]
    ours = [str(v.relative_to(tmp_path)) for v in values if isinstance(v, Path) and v.is_relative_to(tmp_path)]
    assert len(ours) > 10
    known = {*ORDER, *LEFT_OUT}
    assert [path for path in ours if not any(Path(path).is_relative_to(part) for part in known)] == []
    assert not {*ORDER} & LEFT_OUT.keys()


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("gateway/spool", "redis"),  # the prediction log: spool, stream, Parquet
        ("redis", "lake"),
        ("redis", "features/journal"),  # events: stream, journal, lake
        ("features/journal", "lake"),
        ("gateway/trips", "redis"),  # a trip becomes a rollback in the store
        ("gateway/rollout", "redis"),  # a store that knows less than a gateway would be brought forward by it
        ("dagster/schedules", "dagster/history"),  # a cursor that is behind asks again; one that is ahead passes over
        ("dagster/schedules", "redis"),
        ("follow_up", "redis"),
        ("follow_up", "incidents"),
        ("redis", "triton/manifest.json"),
        ("triton/repository", "triton/manifest.json"),
        ("mlflow/mlflow.db", "mlflow/artifacts"),
        ("dagster/history", "lake"),
    ],
)
def test_who_names_a_thing_is_copied_before_it(first: str, then: str) -> None:
    assert place(first) < place(then)


def test_drafts_and_locks_are_passed_over_and_what_users_name_is_not(tmp_path: Path) -> None:
    drafts = [".x.json.123", ".day=1.parquet.9.tmp", "a.tmp", "base.json.new", "landing.lock", "lock", ".77.draft"]
    companions = ["mlflow.db-wal", "index.db-shm"]
    kept = ["day=1.parquet", ".db", "a.tmp.parquet", "unlock"]
    for name in (*drafts, *companions, *kept):
        (tmp_path / "part" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "part" / "deep" / name).touch()
    assert {Path(path).name for path in files_of(tmp_path, Part("part"))} == set(kept)
    assert {Path(path).name for path in files_of(tmp_path, Part("part", users=True))} == {*kept, *drafts}


def test_a_folders_own_files_come_before_those_of_its_folders(tmp_path: Path) -> None:
    """The journal's base names the folder that lies beside it."""
    (tmp_path / "part" / "0folder").mkdir(parents=True)
    (tmp_path / "part" / "0folder" / "events").touch()
    (tmp_path / "part" / "base.json").touch()
    assert files_of(tmp_path, Part("part")) == ["part/base.json", "part/0folder/events"]
    assert files_of(tmp_path, Part("absent")) == []


def test_a_linked_folder_is_followed_at_the_top_and_refused_inside(tmp_path: Path) -> None:
    (tmp_path / "disk" / "raw").mkdir(parents=True)
    (tmp_path / "disk" / "raw" / "day").touch()
    (tmp_path / "lake").symlink_to(tmp_path / "disk")
    assert files_of(tmp_path, Part("lake")) == ["lake/raw/day"]
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk")
    with pytest.raises(BackupError, match="lake/loop is a link to a folder"):
        files_of(tmp_path, Part("lake"))
