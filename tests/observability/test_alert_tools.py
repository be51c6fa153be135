"""`make prometheus`: installed by root, named to anybody else, and nothing where both are there."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT

MAKE, REALPATH = shutil.which("make"), shutil.which("realpath")
BOTH = "prometheus prometheus-alertmanager"


def make(folder: Path, user: int, *there: str) -> str:
    """What the target says on a machine with the programs `there`; apt-get and systemctl say what they were told."""
    assert MAKE
    assert REALPATH
    (folder / "realpath").symlink_to(REALPATH)
    says = {"id": f"echo {user}", "apt-get": 'echo "apt-get $*" >&2', "systemctl": "exit 1", **dict.fromkeys(there, "")}
    for name, script in says.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        [MAKE, "-s", "prometheus"], cwd=ROOT, env={"PATH": str(folder)}, capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


def test_root_has_what_is_missing_installed(tmp_path: Path) -> None:
    said = make(tmp_path, 0)
    assert f"Installing {BOTH}" in said
    assert f"apt-get install -qq -y --no-install-recommends {BOTH}" in said


def test_anybody_else_is_told_what_to_ask_for(tmp_path: Path) -> None:
    said = make(tmp_path, 1000, "prometheus")
    assert said == "No alerts: what needs them is skipped. As root: apt-get install prometheus-alertmanager\n"


@pytest.mark.parametrize("name", ["prometheus-alertmanager", "alertmanager"])
def test_where_both_are_there_it_does_nothing(tmp_path: Path, name: str) -> None:
    assert make(tmp_path, 0, "prometheus", name) == ""
