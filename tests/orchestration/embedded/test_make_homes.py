"""What make exports: absolute homes, whatever was given."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers import ROOT


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (None, ROOT / ".local"),
        ("", ROOT / ".local"),
        ("state", ROOT / "state"),
        ("some where/../a home", ROOT / "a home"),
        ("/var/lib/a home", Path("/var/lib/a home")),
    ],
)
@pytest.mark.parametrize("by", ["environment", "argument"])
def test_homes_are_absolute_and_may_hold_spaces(given: str | None, wanted: Path, by: str) -> None:
    outside = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "PLATFORM_HOME"}}
    outside["DAGSTER_HOME"] = "another/project"
    assigned = [] if given is None else [f"PLATFORM_HOME={given}"]
    if by == "environment":
        outside |= dict(pair.split("=", 1) for pair in assigned)
        assigned = []
    show = 'show: ; @echo "$$PLATFORM_HOME|$$DAGSTER_HOME"'
    command = ["make", "--no-print-directory", "--eval", show, "show", *assigned]
    said = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True).stdout
    assert said == f"{wanted}|{wanted}/dagster\n"
