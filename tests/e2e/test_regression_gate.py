"""`make test-regression` on the running platform: its verdict is its exit code, its reports are served."""

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import Platform
from tests.servers import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
# Both environments stand: set-up must not reinstall them under a running test.
MAKE = ["make", "-s", "-o", ".venv/installed", "-o", ".venv-triton/installed", "test-regression"]
GATES = ROOT / "orchestration" / "training" / "gates.toml"


def regression(environment: dict[str, str], **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(MAKE, cwd=ROOT, env=environment | variables, capture_output=True, text=True, check=False)


def test_the_target_passes_a_good_champion_and_leaves_both_reports(
    platform: Platform, stack_environment: dict[str, str]
) -> None:
    done = regression(stack_environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using the platform that runs on" in done.stderr
    address = platform.settings.reports_url
    for path in ("drift/", "drift/latest.html", "drift/latest.json", "metrics/champion.json", "metrics/champion.txt"):
        assert httpx.get(f"{address}/{path}", trust_env=False).status_code == 200, path
    assert httpx.get(f"{address}/drift/latest.json", trust_env=False).json()["metrics"]


@pytest.mark.full  # the gates by themselves: tests/orchestration/training/test_validate_metrics.py
def test_gates_that_are_not_reached_fail_the_target_and_name_the_metric(
    platform: Platform, stack_environment: dict[str, str], tmp_path: Path
) -> None:
    gates = tmp_path / "gates.toml"
    gates.write_text(GATES.read_text().replace("[auc]\nmin = 0.70", "[auc]\nmin = 0.999"))
    assert "0.999" in gates.read_text()
    done = regression(stack_environment, METRIC_GATES_PATH=str(gates))
    assert done.returncode != 0
    assert "does not reach the gates" in done.stdout
    assert "auc" in done.stdout
    assert "1 failed" in done.stdout
