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


COMMANDS = [line for block in blocks(PAGE, "bash") for line in block.splitlines() if "pytest" in line]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is under version control with the page's patches, and the environment."""
    folder = tmp_path_factory.mktemp("checkout")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    for patch in blocks(PAGE, "diff"):
        done = subprocess.run(["git", "apply"], cwd=folder, input=patch, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder


def test_a_view_and_a_feature_are_added_as_the_page_says(copy: Path) -> None:
    assert "dest_departures" in (copy / "orchestration" / "features" / "views.py").read_text()
    assert len(COMMANDS) == 3


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command", [COMMANDS[0], *(pytest.param(command, marks=pytest.mark.full) for command in COMMANDS[1:])]
)
def test_the_pages_commands_pass_there(copy: Path, command: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(command, shell=True, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
