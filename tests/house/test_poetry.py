"""Those who use Poetry install from the same pyproject."""

import shutil
import subprocess
import tomllib

import pytest

from tests.servers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_poetry_finds_all_that_it_needs() -> None:
    """It takes [project] and the dependency groups as they stand (2.2 and later), and must build nothing."""
    assert PROJECT["tool"]["poetry"] == {"package-mode": False}
    assert {"name", "version", "requires-python", "dependencies"} <= set(PROJECT["project"])
    assert PROJECT["dependency-groups"]["dev"]


def test_poetrys_own_lock_is_not_kept() -> None:
    """requirements.lock is the one that is installed and tested."""
    assert "poetry.lock" in (ROOT / ".gitignore").read_text().splitlines()
    assert "build-system" not in PROJECT


@pytest.mark.skipif(shutil.which("poetry") is None, reason="poetry is not installed")
def test_poetry_has_nothing_to_complain_of() -> None:
    done = subprocess.run(["poetry", "check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
