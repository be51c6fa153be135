"""`make test-regression`: is what `make train` left behind good enough, and does the drift report see what it must?

Both reports are written to the folder of the reports, whatever the verdict: REPORTS_PATH, `.local/reports` by default.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.drift.policy import DRIFT_SHARE
from orchestration.features.training import FEATURES
from orchestration.settings import Settings
from tests.servers import ROOT

pytestmark = pytest.mark.regression
OVERRIDDEN = any(os.environ.get(name) for name in ("DRIFT_REFERENCE_PATH", "DRIFT_CURRENT_PATH"))


@pytest.fixture(scope="module")
def reports() -> Path:
    return Settings.load().reports


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def figures(reports: Path) -> dict[str, dict]:
    """Drift metrics by name, of the report that the command has just written."""
    done = run("orchestration.drift")
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert (reports / "drift" / "latest.html").stat().st_size > 100_000
    metrics = json.loads((reports / "drift" / "latest.json").read_text())["metrics"]
    return {metric["config"].get("column", "all"): metric for metric in metrics}


def test_the_drift_report_compares_features_and_counts_the_drifted(figures: dict[str, dict]) -> None:
    compared = set(figures) - {"all"}
    assert compared
    assert compared <= set(FEATURES)
    assert 0 <= figures["all"]["value"]["share"] <= 1


@pytest.mark.skipif(OVERRIDDEN, reason="other windows than the samples: what they show is not known")
def test_storms_against_a_calm_week_have_drifted(figures: dict[str, dict]) -> None:
    assert figures["all"]["value"]["share"] >= DRIFT_SHARE
    assert figures["r_org_overdue_share"]["value"] > 1  # the airports' boards tell a storm first
    assert figures["s_distance"]["value"] < 0.1  # nobody moved the airports


def test_the_champion_reaches_the_metric_gates(reports: Path) -> None:
    folder = reports / "metrics"
    folder.mkdir(parents=True, exist_ok=True)
    done = run("orchestration.training.validate_metrics", "--alias", "champion", "--json", folder / "champion.json")
    (folder / "champion.txt").write_text(done.stdout)
    if done.returncode == 2:
        pytest.fail(f"the champion cannot be judged: {done.stderr.strip()}\nRun `make train` first.", pytrace=False)
    print(done.stdout)
    if done.returncode:
        pytest.fail(f"the champion does not reach the gates:\n{done.stdout}{done.stderr}", pytrace=False)
    found = json.loads((folder / "champion.json").read_text())
    assert (found["passed"], found["failures"]) == (True, [])
    assert found["model"].startswith("flight_delay_v")
    assert found["days"][0] < found["days"][1]
    assert found["metrics"]["rows"] > 0
    assert 0.5 < found["metrics"]["auc"] <= 1
