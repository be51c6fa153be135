"""Every schedule and sensor seen firing under the real daemon: the tick, what it asked for, and what came of it.

Crons are every minute in this stack. The event clock stands two months after the first ingested day.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.demo.dagster_runs import Run
from orchestration.ingestion.partitions import midnight
from orchestration.notices.journal import read
from orchestration.notices.notice import Notice
from orchestration.publishing.registered import registered
from orchestration.publishing.triton import Triton
from orchestration.rollout.act import serve_canary
from orchestration.training.contract import triton_name
from serving_gateway.contracts.rollout import Arm, RolloutState
from tests.e2e.automation import ASKING_SCHEDULES, Automation, Tick, requested_runs
from tests.e2e.conftest import DAY, INGEST, Platform, partition_range
from tests.e2e.test_loop import FLIGHT
from tests.servers import free_port, running, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TODAY = INGEST[0] + 58 * DAY
CUT = TODAY - 28 * DAY


@pytest.fixture(scope="module")
def automation(platform: Platform) -> Automation:
    return Automation(platform.runs)


@pytest.fixture(scope="module")
def today(platform: Platform) -> Platform:
    """The event clock stands at the first minutes of TODAY; all days but the last two are ingested."""
    platform.succeed("ingest_and_compute", tags=partition_range(INGEST[1], TODAY - 2 * DAY))
    set_clock(platform)
    return platform


def set_clock(platform: Platform) -> None:
    platform.store.advance_clock(midnight(TODAY) + timedelta(minutes=10))


def run_of(platform: Platform, tick: Tick) -> Run:
    (run_id,) = tick["runIds"]
    return platform.runs.wait(run_id)


def tags_and_config(platform: Platform, run_id: str) -> tuple[dict[str, str], str]:
    query = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { runConfigYaml tags { key value } } } }"
    run = platform.runs.ask(query, {"id": run_id})["runOrError"]
    return {tag["key"]: tag["value"] for tag in run["tags"]}, run["runConfigYaml"]


def notices(platform: Platform, containing: str) -> list[Notice]:
    return [
        notice for notice in read(platform.settings.notices).notices if containing in f"{notice.title} {notice.text}"
    ]


def test_days_that_event_time_has_completed_are_ingested(today: Platform, automation: Automation) -> None:
    name = "ingest_completed_days"
    began = automation.start(name)
    try:
        tick = automation.wait_for_tick(name, requested_runs, after=began)
        run = run_of(today, tick)
        assert run.status == "SUCCESS", run.failure
        tags, _ = tags_and_config(today, run.run_id)
        assert tags.items() >= partition_range(TODAY - 2 * DAY, TODAY).items()
        waiting = lambda tick: "every completed day is there" in (tick["skipReason"] or "")  # noqa: E731
        automation.wait_for_tick(name, waiting, after=began)
    finally:
        automation.stop(name)
    assert today.minutes(TODAY - DAY)


@pytest.fixture(scope="module")
def a_minute(today: Platform, automation: Automation) -> dict[str, Run]:
    """Traffic of yesterday, and all schedules that have something to do on for one minute; their runs by schedule."""
    today.replay().run(today.minutes(TODAY - DAY)[:700])
    set_clock(today)
    # All start in one minute: the job of one that ticks a minute earlier may land the log before `log_landing` looks.
    wait_until(lambda: 5 < time.time() % 60 < 45, timeout_s=60)
    began = min([automation.start(name) for name in ASKING_SCHEDULES])
    try:
        ticks = {name: automation.wait_for_tick(name, requested_runs, after=began) for name in ASKING_SCHEDULES}
    finally:
        for name in ASKING_SCHEDULES:
            automation.stop(name)
    return {name: run_of(today, tick) for name, tick in ticks.items()}


def test_yesterday_becomes_features_and_redis_is_brought_to_today(a_minute: dict[str, Run], today: Platform) -> None:
    run = a_minute["daily_features"]
    assert run.status == "SUCCESS", run.failure
    tags, _ = tags_and_config(today, run.run_id)
    assert tags["dagster/partition"] == (TODAY - DAY).isoformat()
    assert tags["dagster/schedule_name"] == "daily_features"
    assert run.metadata("training_rows")
    assert run.metadata("online_store")["as of"].startswith((TODAY - DAY).isoformat())


def test_a_challenger_is_trained_on_all_but_four_weeks_and_published(a_minute: dict[str, Run], today: Platform) -> None:
    run = a_minute["weekly_challenger"]
    assert run.status == "SUCCESS", run.failure
    _, config = tags_and_config(today, run.run_id)
    for field, day in {"train_end": CUT, "holdout_start": CUT, "holdout_end": TODAY}.items():
        assert f"{field}: {day}" in config
    assert run.metadata("challenger_on_triton")["Triton model"]
    state = today.store.read()
    assert state is not None
    assert not state.canary_weight_bp, "a challenger gets no traffic by itself"


def test_the_log_is_landed_and_the_reports_on_it_written(a_minute: dict[str, Run]) -> None:
    assets = {
        "log_landing": "prediction_log",
        "daily_drift_report": "drift_report",
        "daily_health": "model_health",
        "daily_skew_check": "skew_report",
    }
    for name, asset in assets.items():
        assert a_minute[name].status == "SUCCESS", a_minute[name].failure
        assert a_minute[name].metadata(asset)
    assert a_minute["daily_drift_report"].metadata("drift_report")["rows"] > 100
    assert a_minute["daily_skew_check"].metadata("skew_report")["rows"] > 100


def test_a_schedule_without_anything_to_do_says_why(today: Platform) -> None:
    """As the UI's "Preview tick result" asks."""
    query = """mutation ScheduleDryRunMutation($of: ScheduleSelector!, $at: Float) {
        scheduleDryRun(selectorData: $of, timestamp: $at) {
            ... on DryRunInstigationTick { evaluationResult { skipReason } } } }"""
    today.store.advance_clock(datetime(2014, 2, 1, tzinfo=UTC))
    try:
        of = {**today.runs.repository, "scheduleName": "daily_features"}
        found = today.runs.ask(query, {"of": of, "at": time.time()})["scheduleDryRun"]["evaluationResult"]
    finally:
        set_clock(today)
    assert "the source has no 2014-01-31" in found["skipReason"]


def test_a_failed_run_is_told(today: Platform) -> None:
    run_id = today.runs.launch("train_challenger", ops={"challenger_model": {"train_start": "January"}})
    assert today.runs.wait(run_id).status == "FAILURE"
    wait_until(lambda: notices(today, "Run of train_challenger failed"), timeout_s=30)
    (notice,) = [n for n in notices(today, "train_challenger") if run_id in n.link]
    assert notice.link == f"{today.settings.dagster_url}/runs/{run_id}"
    assert "challenger_model" in notice.text
    assert "January" in notice.text


def test_bad_health_asks_for_a_challenger(a_minute: dict[str, Run], today: Platform, automation: Automation) -> None:
    """The failed check is reported through the webserver's own door for checks, as an outside job would."""
    report = {
        "asset_key": "model_health", "check_name": "model_is_healthy", "passed": False, "severity": "WARN",
        "metadata": {"as_of": f"{TODAY}T00:10:00+00:00", "outcome": "bad", "reason": "planted"},
    }  # fmt: skip
    answer = httpx.post(f"{today.settings.dagster_url}/report_asset_check/", json=report, timeout=30, trust_env=False)
    assert answer.status_code == 200, answer.text
    name = "retrain_on_drift"
    began = automation.start(name)
    try:
        tick = automation.wait_for_tick(name, requested_runs, after=began)
    finally:
        automation.stop(name)
    (run_id,) = tick["runIds"]
    tags, config = tags_and_config(today, run_id)
    today.runs.ask("mutation Stop($id: String!) { terminateRun(runId: $id, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }", {"id": run_id})  # fmt: skip
    assert tags["health/as_of"] == f"{TODAY}T00:10:00+00:00"
    assert f"holdout_end: {TODAY}" in config


def materializations(platform: Platform) -> list[dict[str, Any]]:
    """Metadata of what Dagster saw of the rollout, newest first."""
    query = """{ assetNodes(assetKeys: [{path: ["rollout_state"]}]) { assetMaterializations(limit: 200) { metadataEntries {
        label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue }
        ... on FloatMetadataEntry { floatValue } ... on UrlMetadataEntry { url } } } } }"""
    (node,) = platform.runs.ask(query, {})["assetNodes"]
    values = ("text", "intValue", "floatValue", "url")
    return [
        {entry["label"]: next((entry[v] for v in values if v in entry), None) for entry in seen["metadataEntries"]}
        for seen in node["assetMaterializations"]
    ]


def give_everything_to_the_challenger(platform: Platform) -> tuple[RolloutState, str]:
    contract = registered(platform.settings, "challenger").contract
    name, digest = triton_name(contract), platform.store.put_contract(contract)
    arm = Arm(model=contract.model, version=contract.version, triton_model=name, contract_digest=digest)
    now = datetime.now(UTC)
    return serve_canary(platform.store, arm, weight=1.0, shadow_fraction=0.0, actor="test", now=now), name


def test_a_gateways_trip_is_recorded_and_told(
    a_minute: dict[str, Run], today: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second gateway, its reflex on, meets a canary that Triton has lost."""
    state, canary = give_everything_to_the_challenger(today)
    port = free_port()
    changed = {"GATEWAY_PORT": str(port), "GATEWAY_ID": "reflex", "REFLEX": "on", "PLATFORM_HOME": str(tmp_path)}
    for variable, value in changed.items():
        monkeypatch.setenv(variable, value)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/ready", trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    with running("gateway", [sys.executable, "-m", "serving_gateway"], tmp_path, ready, timeout_s=30):
        # It is ready a moment before it is heard of.
        wait_until(lambda: "reflex" in [one.gateway for one in today.store.acknowledgements()], timeout_s=10)
        assert len(today.store.wait_until_served(state, timeout_s=10)) == 2
        with Triton.connect(today.settings.triton_grpc, timeout_s=30) as triton:
            triton.unload(canary)
            try:
                for _ in range(30):
                    assert httpx.post(f"{url}/predict", json=FLIGHT, timeout=10, trust_env=False).status_code == 200
                wait_until(lambda: (today.store.read() or state).phase == "rolled_back", timeout_s=10)
            finally:
                triton.load(canary)
    tripped = today.store.history(1)[0]
    assert tripped.actor == "gateway:reflex"

    wait_until(lambda: notices(today, "gateway:reflex"), timeout_s=30)
    (notice,) = notices(today, "gateway:reflex")
    assert notice.severity == "SEV2"
    assert notice.title == f"{canary} was stopped by gateway:reflex"
    wait_until(lambda: materializations(today)[0]["generation"] == tripped.generation, timeout_s=30)
    seen = materializations(today)
    assert (seen[0]["phase"], seen[0]["canary weight"], seen[0]["actor"]) == ("rolled_back", 0.0, "gateway:reflex")
    assert seen[0]["reason"] == tripped.reason
    assert seen[0]["as served"] == f"{today.settings.gateway_url}/rollout"
    generations = [one.generation for one in today.store.history(200)]
    assert [one["generation"] for one in seen] == generations, "every change, each once"
