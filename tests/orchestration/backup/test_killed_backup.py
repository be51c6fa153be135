"""A backup that is killed at random points leaves nothing that looks whole, and its source as it was."""

import random
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from orchestration.backup.folder import listed
from orchestration.backup.manifest import Manifest, verify
from tests.orchestration.backup.homes import contents, small_home
from tests.servers import ROOT, wait_until

pytestmark = pytest.mark.integration
KILLS = 6
BYTES = 1_000_000


def seen(folder: Path) -> set[Path]:
    """What is being copied, or was, and what is listed."""
    return {path.parent for path in folder.glob(".partial-*/home")} | {path for path, _ in listed(folder)}


def begun(folder: Path, left: set[Path]) -> bool:
    return bool(seen(folder) - left)


def a_second_later() -> None:
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now)


def test_a_killed_backup_is_never_listed_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("PLATFORM_HOME", str(small_home(tmp_path / "home", files=150, bytes_each=BYTES)))
    before = contents(tmp_path / "home")
    folder = tmp_path / "home.backups"
    chance = random.Random(9)
    midway = 0
    for _ in range(KILLS):
        left = seen(folder)
        with subprocess.Popen([sys.executable, "-m", "orchestration.backup", "create"], cwd=ROOT) as process:
            # from its first file on, and until about its last
            wait_until(partial(begun, folder, left), timeout_s=60)
            time.sleep(chance.uniform(0, 0.4))
            process.kill()
        a_second_later()  # by which backups are named
        midway += bool(list(folder.glob(".partial-*")))
        for path, manifest in listed(folder):
            assert isinstance(manifest, Manifest)
            verify(path)  # the kill came too late for this one: then it is whole
    assert midway >= KILLS // 2
    assert contents(tmp_path / "home") == before

    killed = {path for path, _ in listed(folder)}
    subprocess.run([sys.executable, "-m", "orchestration.backup", "create"], cwd=ROOT, check=True)
    (made,) = {path for path, _ in listed(folder)} - killed
    assert len(verify(made).files) > 150
    assert not list(folder.glob(".partial-*"))
