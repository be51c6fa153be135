"""`python -m orchestration.embedded --run`: a platform for the time of a command."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.embedded.programs import programs, socket_path
from tests.e2e.conftest import Platform
from tests.e2e.test_embedded import environment
from tests.servers import ROOT, processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
RUN = [sys.executable, "-m", "orchestration.embedded", "--run"]
LOOK = [
    "bash",
    "-c",
    'curl -sf "http://127.0.0.1:$REPORTS_PORT/drift/" > /dev/null && echo "served from $PLATFORM_HOME"; exit 5',
]


@pytest.mark.full  # a whole platform for one look
def test_a_platform_is_up_while_the_command_runs_and_gone_when_it_has_ended(tmp_path: Path) -> None:
    wanted = environment(tmp_path) | {"REPORTS_PATH": str(tmp_path / "my reports")}
    done = subprocess.run([*RUN, *LOOK], cwd=ROOT, env=wanted, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, f"served from {tmp_path}\n"), done.stderr
    assert "starting a platform" in done.stderr
    assert "up dagster daemon" in done.stderr
    assert processes_of(tmp_path) == []
    assert (tmp_path / "my reports" / "drift").is_dir()


def test_a_command_uses_the_platform_that_is_up_and_leaves_it_up(
    platform: Platform, stack_environment: dict[str, str]
) -> None:
    before = programs(socket_path(platform.settings.home))
    assert [one.name for one in before if one.state != "RUNNING"] == []
    done = subprocess.run([*RUN, *LOOK], cwd=ROOT, env=stack_environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, f"served from {platform.settings.home}\n"), done.stderr
    assert "using the platform that runs on" in done.stderr
    assert programs(socket_path(platform.settings.home)) == before
    assert len(before) > 5
