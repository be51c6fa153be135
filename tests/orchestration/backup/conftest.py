"""A stopped home, and a backup of it."""

from pathlib import Path

import pytest

from orchestration.backup.create import create
from orchestration.settings import Settings
from tests.orchestration.backup.homes import small_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small, with all of it in one folder."""
    for name in ("REDIS_URL", "FEATURES_REDIS_URL", "REPORTS_PATH", "INCIDENTS_PATH"):
        monkeypatch.delenv(name, raising=False)
    return small_home(tmp_path / "home")


@pytest.fixture
def backup(home: Path, tmp_path: Path) -> Path:
    """The folder of one."""
    return create(Settings(home=home), tmp_path / "backups")
