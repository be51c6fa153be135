"""The import rules hold, and each is seen to fail on a planted violation."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers import BIN, ROOT

pytestmark = pytest.mark.integration
PACKAGES = ("orchestration", "serving_gateway", "triton_models", "feature_repo", "observability")


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "planted", "rule"),
    [
        ("serving_gateway/gateway.py", "import numpy", "The gateway is small"),
        ("serving_gateway/contracts/model.py", "import orchestration.settings", "The gateway is small"),
        ("orchestration/rollout/act.py", "import serving_gateway.gateway", "The batch side sees"),
        ("orchestration/defs/rollout.py", "from serving_gateway.log import spool", "The batch side sees"),
        ("orchestration/drift/report.py", "import dagster", "Dagster stays"),
        ("orchestration/new_room/__init__.py", "import dagster", "Dagster stays"),
        ("triton_models/launch.py", "import dagster", "Dagster stays"),
        ("triton_models/launch.py", "import orchestration.settings", "Triton's side"),
        ("orchestration/features/layout.py", "import feature_repo.flight_features", "The feature repo"),
        ("observability/grafana/page.py", "import orchestration.settings", "Dashboards know"),
        ("orchestration/gauges.py", "import grafana_foundation_sdk", "Nothing that runs"),
    ],
)
def test_a_planted_violation_is_found(copy: Path, module: str, planted: str, rule: str) -> None:
    path = copy / module
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + f"\n{planted}\n")
    found = lint(copy)
    assert found.returncode != 0
    broken = [line for line in found.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(rule) for line in broken), found.stdout
