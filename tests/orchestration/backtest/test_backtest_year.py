"""`python -m orchestration.backtest` at full size: the targets that docs/evidence.md claims."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.backtest.report import BEGIN, END
from tests.servers import ROOT

# Alone on two cores it takes a quarter of an hour; beside others three times as long.
PATIENCE_S = 3600


@pytest.mark.full
@pytest.mark.timeout(PATIENCE_S)
def test_the_year_reaches_its_targets(tmp_path: Path) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    subprocess.run(
        [sys.executable, "-m", "orchestration.backtest", "--page", str(page)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PLATFORM_HOME": str(tmp_path / "home")},
        check=True,
    )
    found = json.loads((tmp_path / "home" / "backtest" / "summary.json").read_text())
    assert found["share_of_weekly_gain"] >= 0.9
    assert 2 * found["retrains"] <= found["weekly_retrains"] == 39
    assert found["false_alarms_per_quarter"] <= 1
    faults = {fault["name"]: fault for fault in found["faults"]}
    assert len(faults) == 10
    caught = {name for name, fault in faults.items() if fault["caught_by"]}
    assert caught >= faults.keys() - {"stuck sensor"}  # one station's stuck weather hides among what is usual
    assert max(faults[name]["delay"] for name in caught) <= 14 * 24
    assert "### Ten faults" in page.read_text()
