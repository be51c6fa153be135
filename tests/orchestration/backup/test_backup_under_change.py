"""What changes while it is copied: a journal whose base is replaced, files that go, models that wait."""

import threading
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from orchestration.backup import create as subject
from orchestration.backup.create import create
from orchestration.backup.manifest import BackupError, verify
from orchestration.publishing.repository import Repository, RepositoryBusyError
from orchestration.settings import Settings
from tests.orchestration.backup.homes import database, small_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("REDIS_URL", raising=False)
    return small_home(tmp_path / "home")


def begin(home: Path, base: str) -> None:
    """A new base, as the updater begins it: its folder, its name, then the one before goes."""
    journal = home / "features" / "journal"
    (journal / base).mkdir()
    (journal / base / "events.jsonl").write_text(base)
    (journal / "base.json").write_text(base)
    for other in [path for path in journal.iterdir() if path.is_dir() and path.name != base]:
        (other / "events.jsonl").unlink()
        other.rmdir()


def test_a_journal_whose_base_is_replaced_meanwhile_is_copied_again(home: Path, tmp_path: Path) -> None:
    begin(home, "first")

    def replaced(path: str, _size: int) -> None:
        if path == "features/journal/base.json" and not (home / "features" / "journal" / "second").exists():
            begin(home, "second")  # what was listed is gone before it is copied

    backup = create(Settings(home=home), tmp_path / "backups", replaced)
    journal = backup / "home" / "features" / "journal"
    assert (journal / "base.json").read_text() == "second"
    assert [path.read_text() for path in journal.rglob("events.jsonl")] == ["second"]
    verify(backup)


def test_a_journal_that_never_stands_still_is_no_backup(home: Path, tmp_path: Path) -> None:
    number = iter(range(100))

    def replaced(path: str, _size: int) -> None:
        if path == "features/journal/base.json":
            begin(home, f"base{next(number)}")

    with pytest.raises(BackupError, match=r"base\.json is replaced again and again"):
        create(Settings(home=home), tmp_path / "backups", replaced)


def test_a_file_that_goes_before_its_turn_is_not_missed(home: Path, tmp_path: Path) -> None:
    """A segment that has landed, say: what was in it is further on."""

    def landed(path: str, _size: int) -> None:
        if path == "lake/raw/day=000.parquet":
            (home / "lake" / "raw" / "day=001.parquet").unlink(missing_ok=True)

    manifest = verify(create(Settings(home=home), tmp_path / "backups", landed))
    paths = {file.path for file in manifest.files}
    assert "lake/raw/day=002.parquet" in paths
    assert "lake/raw/day=001.parquet" not in paths


def test_a_segment_that_another_gateway_takes_over_meanwhile_is_found_where_it_is_now(
    home: Path, tmp_path: Path
) -> None:
    spool = home / "gateway" / "spool"
    for name in ("alive/alive.1.0.seg", "dead/dead.1.0.seg", "dead/dead.1.1.seg"):
        (spool / name).parent.mkdir(parents=True, exist_ok=True)
        (spool / name).write_text(name)

    def adopted(path: str, _size: int) -> None:
        if path == "gateway/spool/alive/alive.1.0.seg":
            for left in (spool / "dead").iterdir():
                left.rename(spool / "alive" / left.name)

    backup = create(Settings(home=home), tmp_path / "backups", adopted)
    found = sorted((backup / "home" / "gateway" / "spool").rglob("*.seg"))
    assert [segment.read_text() for segment in found] == [
        "alive/alive.1.0.seg",
        "dead/dead.1.0.seg",
        "dead/dead.1.1.seg",
    ]
    verify(backup)


def test_a_database_that_goes_in_the_moment_it_is_opened_is_not_missed(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = subject._is_database

    def deleted(path: Path) -> bool:
        found = look(path)
        if path.name == "old-run.db":
            path.unlink()
        return found

    database(home / "dagster" / "history" / "runs" / "old-run.db")
    monkeypatch.setattr(subject, "_is_database", deleted)
    paths = {file.path for file in verify(create(Settings(home=home), tmp_path / "backups")).files}
    assert "dagster/history/runs/index.db" in paths
    assert "dagster/history/runs/old-run.db" not in paths


WAY = ("gateway/spool/g/record.seg", "redis/record", "features/journal/record", "lake/raw/record")
STOPS = ("follow_up/i", "gateway/contracts/c", "redis/aof", "triton/manifest.json", "mlflow/mlflow.db", "notices.jsonl")


def moved(home: Path, step: int) -> None:
    """A record goes on to its next place: it is there before it leaves the one before."""
    (home / WAY[step + 1]).parent.mkdir(parents=True, exist_ok=True)
    (home / WAY[step + 1]).touch()
    (home / WAY[step]).unlink()


@pytest.mark.parametrize("stops", list(combinations_with_replacement(STOPS, len(WAY) - 1)))
def test_a_record_on_its_way_is_in_one_of_its_places_whenever_it_moves(stops: tuple[str, ...], tmp_path: Path) -> None:
    """It moves on as each of these files has been copied, several steps at once included."""
    home = tmp_path / "home"
    for path in (WAY[0], *STOPS):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).touch()

    def moves(path: str, _size: int) -> None:
        for step in [step for step, stop in enumerate(stops) if stop == path]:
            moved(home, step)

    backup = create(Settings(home=home), tmp_path / "backups", moves)
    assert any((backup / "home" / place).exists() for place in WAY)
    assert (home / WAY[-1]).exists()


def test_no_model_is_published_or_retired_between_redis_and_the_models(home: Path, tmp_path: Path) -> None:
    held: list[str] = []
    repository = Repository.of(Settings(home=home))

    def tries(path: str, _size: int) -> None:
        def take() -> None:
            try:
                with repository.locked(timeout_s=0):
                    pass
            except RepositoryBusyError:
                held.append(path)

        publisher = threading.Thread(target=take)
        publisher.start()
        publisher.join()

    create(Settings(home=home), tmp_path / "backups", tries)
    assert held == ["redis/appendonly.aof", "triton/repository/m_v1/config.pbtxt", "triton/manifest.json"]


def test_a_repository_that_stays_taken_is_no_backup(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Repository.locked
    monkeypatch.setattr(Repository, "locked", lambda repository: take(repository, timeout_s=0))
    taken = "no backup was made: another process has held"
    with take(Repository.of(Settings(home=home))), pytest.raises(BackupError, match=taken):
        create(Settings(home=home), tmp_path / "backups")
