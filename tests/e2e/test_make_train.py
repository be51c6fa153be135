"""`make train`, then `make test-regression`, as a person types them, on an empty home with no platform up."""

import os
import subprocess
from pathlib import Path

import pytest

from orchestration.settings import Settings
from tests.servers import ROOT, free_port, processes_of

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]


def test_a_champion_is_trained_and_judged_without_a_platform_that_is_up(tmp_path: Path) -> None:
    environment = {**os.environ, "PLATFORM_HOME": str(tmp_path)}
    environment |= {name.upper(): str(free_port()) for name in Settings.port_defaults()}
    for target in ("train", "test-regression"):
        done = subprocess.run(["make", target], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        assert processes_of(tmp_path) == []
    assert (tmp_path / "reports" / "drift" / "latest.html").stat().st_size > 100_000
    assert (tmp_path / "reports" / "metrics" / "champion.json").exists()
