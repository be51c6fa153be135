"""Which runs a timeline tells of, as the real webserver of Dagster answers."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.incidents.sources import Period, run_rows
from orchestration.settings import Settings
from tests.orchestration.incidents.happenings import moved, trial
from tests.servers import answers_200, free_port, running

pytestmark = pytest.mark.integration


@dg.op
def fails() -> None:
    raise OSError(28, "No space left on device")


@dg.op
def works() -> None:
    return


@dg.job
def failing_job() -> None:
    fails()


@dg.job
def working_job() -> None:
    works()


def test_failed_runs_of_the_period_and_those_that_changed_the_rollout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance:
        failed = failing_job.execute_in_process(instance=instance, raise_on_error=False).run_id
        named, other = (working_job.execute_in_process(instance=instance).run_id for _ in range(2))
    command = [sys.executable, "-m", "dagster_webserver", "--empty-workspace", "--host", "127.0.0.1", "--port"]
    url = f"http://127.0.0.1:{(port := free_port())}"
    monkeypatch.setenv("DAGSTER_API_URL", url)
    now = datetime.now(UTC)
    with running("webserver", [*command, port], tmp_path, lambda: answers_200(f"{url}/server_info"), timeout_s=60):
        state = moved(trial()[-1], actor=f"dagster:job:rollback:{named}")
        during = Period(now - timedelta(minutes=5), now + timedelta(minutes=5))
        rows = "\n".join(run_rows(Settings(tmp_path), during, [state]))
        before = Period(now - timedelta(days=2), now - timedelta(days=1))
        assert run_rows(Settings(tmp_path), before, []) == []
    assert f"Dagster: failing_job, run {failed} begins" in rows
    assert f"Dagster: failing_job, run {failed} ends: FAILURE" in rows
    assert f"Dagster: working_job, run {named} ends: SUCCESS" in rows
    assert other not in rows
