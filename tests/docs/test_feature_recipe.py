"""The recipe of docs/features.md, done: its patches are applied to a copy of the checkout, and its commands run there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import blocks
from tests.servers import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git, which applies the patches"),
]
PAGE = ROOT / "docs" / "features.md"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What is under version control, and the environment."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@pytest.mark.timeout(600)
def test_a_view_and_a_feature_are_added_as_the_page_says(copy: Path) -> None:
    for patch in blocks(PAGE, "diff"):
        done = subprocess.run(["git", "apply"], cwd=copy, input=patch, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "dest_departures" in (copy / "orchestration" / "features" / "views.py").read_text()
    commands = [line for block in blocks(PAGE, "bash") for line in block.splitlines() if "pytest" in line]
    assert len(commands) == 3
    for command in commands:
        environment = os.environ | {"PYTHONPATH": str(copy)}
        done = subprocess.run(
            command, shell=True, cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:]
        assert " passed" in done.stdout
