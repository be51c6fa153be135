"""A run that really failed, told."""

from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.sensors_runs import notify_failed_run
from orchestration.notices.journal import read
from orchestration.notices.notice import Notice


@dg.asset
def broken() -> None:
    """Fails with a cause."""
    try:
        Path("/dev/full").write_text("x")
    except OSError as error:
        raise dg.Failure("nothing was written") from error


@dg.asset(
    check_specs=[
        dg.AssetCheckSpec("valid", asset="checked", blocking=True),
        dg.AssetCheckSpec("warned", asset="checked"),
        dg.AssetCheckSpec("passed", asset="checked"),
    ]
)
def checked() -> dg.MaterializeResult:
    """Fails its blocking check, and one that only warns."""
    found = {"column": "origin", "rule": "in set", "count": 7}
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="valid", passed=False, metadata=found),
            dg.AssetCheckResult(check_name="warned", passed=False, severity=dg.AssetCheckSeverity.WARN),
            dg.AssetCheckResult(check_name="passed", passed=True),
        ]
    )


@dg.asset(deps=[checked])
def downstream() -> None:
    """Is not reached."""


@dg.failure_hook
def helpless(_: dg.HookContext) -> None:
    """Could not take the traffic."""
    raise TimeoutError("these gateways still serve an older generation: east")


@dg.asset(hooks={helpless})
def convicted() -> None:
    """Fails, and its hook too."""
    raise dg.Failure("worse")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLATFORM_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_PORT", "3999")
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    return tmp_path


def told(home: Path, job: dg.JobDefinition) -> tuple[Notice, str]:
    """The notice of the failed run of `job`, and the run's id."""
    instance = dg.DagsterInstance.ephemeral()
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE]
    context = dg.build_run_status_sensor_context(
        sensor_name="notify_failed_run",
        dagster_event=failure,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    )
    notify_failed_run(context.for_run_failure())
    (notice,) = read(home / "notices.jsonl").notices
    return notice, result.run_id


def test_the_notice_names_job_step_innermost_cause_and_run(home: Path) -> None:
    job = dg.Definitions(assets=[broken], jobs=[dg.define_asset_job("fill", ["broken"])]).resolve_job_def("fill")
    notice, run_id = told(home, job)
    assert (notice.severity, notice.title) == ("SEV3", "Run of fill failed")
    assert notice.text == "step broken: OSError: [Errno 28] No space left on device"
    assert notice.link == f"http://127.0.0.1:3999/runs/{run_id}"


def test_the_notice_names_the_blocking_check_with_column_rule_and_count(home: Path) -> None:
    defs = dg.Definitions(assets=[checked, downstream], jobs=[dg.define_asset_job("check", ["checked", "downstream"])])
    notice, _ = told(home, defs.resolve_job_def("check"))
    assert "check valid on checked failed: column origin; rule in set; count 7" in notice.text
    assert "warned" not in notice.text
    assert "passed" not in notice.text


def test_a_hook_that_failed_is_told_as_urgent(home: Path) -> None:
    job = dg.Definitions(assets=[convicted], jobs=[dg.define_asset_job("judge", ["convicted"])]).resolve_job_def(
        "judge"
    )
    notice, _ = told(home, job)
    assert notice.severity == "SEV1"
    assert notice.text.splitlines() == [
        "step convicted: dagster._core.definitions.events.Failure: worse",
        "hook on convicted failed: TimeoutError: these gateways still serve an older generation: east",
    ]


def test_a_run_without_a_job_is_named_by_its_step(home: Path) -> None:
    job = dg.Definitions(assets=[broken]).resolve_implicit_global_asset_job_def()
    notice, _ = told(home, job.get_subset(asset_selection={broken.key}))
    assert notice.title == "Run of broken failed"
