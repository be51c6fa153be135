"""Each check's judgement, bad case by bad case: what was read goes in, plain words come out."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestration.doctor.drift import judge_drift_report
from orchestration.doctor.features import judge_features
from orchestration.doctor.finding import Finding, duration
from orchestration.doctor.follow_up import judge_follow_up
from orchestration.doctor.gateway import judge_gateway
from orchestration.doctor.health import judge_model_health
from orchestration.doctor.prediction_log import judge_prediction_log
from orchestration.doctor.runs import judge_runs
from orchestration.doctor.services import WHERE, judge_services
from orchestration.doctor.triton import judge_triton
from orchestration.doctor.updater import judge_updater
from orchestration.embedded.alerting import installed
from orchestration.embedded.health import probes
from orchestration.features.live.freshness import judge
from orchestration.features.live.watermark import Watermark
from orchestration.health.verdict import HealthVerdict
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import TrialMark
from serving_gateway.control.store import Acknowledgement
from serving_gateway.control.transitions import rolled_back
from tests.orchestration.health.windows import looked
from tests.serving_gateway.support import BOARD, CANARY, CONTRACT, NOW, TAIL, TWO, WEATHER, state_of

STATE = state_of(CONTRACT, TWO, shadow=TWO, weight_bp=1000, shadow_fraction=1.0, generation=7)
HEALTH: dict[str, Any] = {
    "epoch": 1, "generation": 7, "refused": {}, "trip": None, "problem": "", "redis": "up", "spool_bytes": 10,
}  # fmt: skip
HEARD = [(Acknowledgement("g1", 1, 7, 1000, 0.0), 0.4)]
RUN = {"runId": "r1", "jobName": "judge_canary", "creationTime": 100.0, "endTime": 200.0, "assetSelection": None}


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def test_every_service_that_is_probed_has_its_log_and_section() -> None:
    assert set(WHERE) - set(probes(Settings(home=Path("/tmp")))) == {"prometheus", "alertmanager"} - installed().keys()


def test_services_that_answer_are_one_line_and_one_that_does_not_names_its_log(tmp_path: Path) -> None:
    up = dict.fromkeys(WHERE, True)
    assert only(judge_services(up, tmp_path)).says == f"each of the {len(WHERE)} answers"
    down = only(judge_services(up | {"triton": False}, tmp_path))
    assert (down.check, down.state, down.section) == ("triton", "down", "3.2 Triton")
    assert down.says == "does not answer"
    (tmp_path / "triton.log").touch()
    assert only(judge_services(up | {"triton": False}, tmp_path)).says.endswith(f"its log is {tmp_path}/triton.log")


def test_the_follow_up_names_who_waits_and_what_goes_on() -> None:
    settings = Settings(home=Path("/h"))
    assert only(judge_follow_up({}, 0, settings)).state == "ok"
    found = judge_follow_up({"jira": "Jira answered 503"}, 2, settings)
    assert [finding.state for finding in found] == ["attention", "attention"]
    assert {finding.section for finding in found} == {"7. After the incident"}
    assert [finding.says for finding in found] == [
        "jira: Jira answered 503", "2 incidents have not ended; their documents are in /h/incidents",
    ]  # fmt: skip


def test_a_platform_that_is_not_there_is_one_line() -> None:
    finding = only(judge_services(dict.fromkeys(WHERE, False), Path()))
    assert finding.state == "down"
    assert "make up" in finding.says


def test_a_gateway_that_is_well_says_what_it_serves() -> None:
    finding = only(judge_gateway("", HEALTH, STATE, HEARD))
    assert finding.state == "ok"
    assert finding.says == (
        "phase canary, epoch 1, generation 7; delay_v1 is the baseline; delay_v2 answers 10 %; "
        "delay_v2 shadows 100% of the rest; served by 1 gateway"
    )


def test_a_trial_that_somebody_holds_is_said() -> None:
    mark = TrialMark(epoch=1, generation=6, step=1, held="cli:ada: lunch")
    held = msgspec.structs.replace(STATE, trial=mark)
    assert "its trial is held at step 1 by cli:ada: lunch" in only(judge_gateway("", HEALTH, held, HEARD)).says
    over = msgspec.structs.replace(held, phase="rolled_back")
    assert "is held" not in only(judge_gateway("", HEALTH, over, HEARD)).says


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"generation": 6}, "serves epoch 1, generation 6; the store has 1, 7"),
        ({"refused": {"canary": "inputs[0] differs"}}, "canary is not used: inputs[0]"),
        ({"trip": {"triton_model": "m", "reason": "10 failed"}}, "canary m by itself"),
        ({"problem": "the contract is gone"}, "the contract is gone"),
        ({"redis": "down"}, "does not reach Redis"),
    ],
)
def test_what_is_wrong_with_a_gateway_is_said(changes: dict[str, Any], part: str) -> None:
    finding = only(judge_gateway("", HEALTH | changes, STATE, HEARD))
    assert (finding.state, finding.section) == ("attention", "3.1 Gateway")
    assert part in finding.says


def test_a_gateway_that_cannot_answer_is_down() -> None:
    finding = only(judge_gateway("Triton is away", HEALTH, STATE, HEARD))
    assert (finding.state, finding.says) == ("down", "not ready: Triton is away")


def test_a_store_that_lost_its_state_and_a_silent_gateway_want_attention() -> None:
    assert "last known good" in only(judge_gateway("", HEALTH, None, HEARD)).says
    assert "g1 was not heard of for 60 s" in only(judge_gateway("", HEALTH, STATE, [(HEARD[0][0], 60)])).says


def test_a_rollback_is_said_with_its_reason() -> None:
    state = rolled_back(CANARY, actor="gateway:g", reason="10 failed in a row", now=NOW)
    health = HEALTH | {"generation": state.generation}
    assert "rolled back by gateway:g: 10 failed in a row" in only(judge_gateway("", health, state, HEARD)).says


BOTH = {"delay_v1": "READY", "delay_v2": "READY"}


@pytest.mark.parametrize(
    ("loaded", "manifest", "verdict", "part"),
    [
        (BOTH, ["delay_v1", "delay_v2"], "ok", "all 2 published models are loaded"),
        (BOTH | {"delay_v1_trees": "READY"}, ["delay_v1", "delay_v2"], "ok", "all 2 published models are loaded"),
        ({"delay_v2": "READY"}, ["delay_v1", "delay_v2"], "down", "the baseline delay_v1 is not loaded"),
        ({"delay_v1": "READY"}, ["delay_v1", "delay_v2"], "attention", "delay_v2 is on trial but not loaded"),
        (BOTH, ["delay_v1", "delay_v2", "delay_v3"], "attention", "delay_v3 is published but not loaded"),
        (BOTH | {"delay_v3": "UNAVAILABLE"}, ["delay_v1", "delay_v2", "delay_v3"], "attention", "but UNAVAILABLE"),
        (BOTH, ["delay_v1"], "attention", "delay_v2 is loaded but not in the manifest"),
    ],
)
def test_triton_against_its_manifest(loaded: dict[str, str], manifest: list[str], verdict: str, part: str) -> None:
    finding = only(judge_triton(loaded, manifest, STATE))
    assert (finding.state, finding.section) == (verdict, "3.2 Triton")
    assert part in finding.says


def test_a_canary_that_was_rolled_back_need_not_be_loaded() -> None:
    state = rolled_back(CANARY, actor="a", reason="r", now=NOW)
    assert only(judge_triton({"delay_v1": "READY"}, ["delay_v1"], state)).state == "ok"


def test_triton_without_a_model_says_how_to_get_one() -> None:
    assert "make train" in only(judge_triton({}, [], None)).says


LAYOUTS = (WEATHER, TAIL, BOARD)  # TTLs: an hour, a day, none
MOMENT = datetime(2013, 5, 1, 12, tzinfo=UTC)
FRESH = {"weather": MOMENT.timestamp() - 60, "tail": MOMENT.timestamp() - 60, "board": MOMENT.timestamp() - 600}


@pytest.mark.parametrize(
    ("newest", "verdict", "part"),
    [
        (FRESH, "ok", "all 3 views are fresh, the newest values 60 s old; the event clock says 2013-05-01 12:00 UTC"),
        ({}, "attention", "the online store is empty: run the job materialize_online"),
        ({"weather": FRESH["weather"], "board": FRESH["board"]}, "attention", "no entity has values of tail"),
        (FRESH | {"weather": MOMENT.timestamp() - 7200}, "attention", "1 of 3 views have expired: weather (2 h)"),
        (FRESH | {"weather": MOMENT.timestamp() + 86400}, "attention", "24 h newer than the event clock"),
    ],
)
def test_the_store_against_the_event_clock(newest: dict[str, float], verdict: str, part: str) -> None:
    finding = only(judge_features(newest, LAYOUTS, MOMENT))
    assert (finding.state, finding.section) == (verdict, "3.3 Online features")
    assert part in finding.says


@pytest.mark.parametrize(
    ("metrics", "waiting", "oldest_s", "verdict", "part"),
    [
        ("", 2, 10, "ok", "2 batches wait to land, 1.5 MB have not landed"),
        ("serving_app_spool_dropped_records_total 0.0\n", 0, 0, "ok", "0 batches"),
        ("serving_app_spool_dropped_records_total 7.0\n", 0, 0, "attention", "7 records were lost"),
        ("serving_app_spool_damaged_segments_total 1.0\n", 0, 0, "attention", "1 segments of the spool were damaged"),
        ("", 40, 7200, "attention", "40 batches wait, the oldest for 2 h"),
    ],
)
def test_the_prediction_log(metrics: str, waiting: int, oldest_s: float, verdict: str, part: str) -> None:
    finding = only(judge_prediction_log(metrics, 1_500_000, waiting, oldest_s))
    assert (finding.state, finding.section) == (verdict, "3.5 Prediction log")
    assert part in finding.says


def test_failed_runs_are_linked_and_many_are_counted() -> None:
    finding = only(judge_runs([RUN], [], 500.0, "http://d"))
    assert finding.says == "judge_canary failed 5 min ago: http://d/runs/r1"
    asset = RUN | {"jobName": "__ASSET_JOB", "assetSelection": [{"path": ["drift_report"]}]}
    assert only(judge_runs([asset], [], 500.0, "http://d")).says.startswith("the run of drift_report failed")
    assert judge_runs([RUN] * 8, [], 500.0, "http://d")[-1].says == "3 more failed within a day: http://d/runs"


def test_a_queue_that_does_not_move_is_said() -> None:
    queued, started = RUN | {"status": "QUEUED"}, RUN | {"status": "STARTED"}
    assert only(judge_runs([], [started, queued], 300.0, "d")).says == "no run failed within a day; 1 at work, 1 queued"
    stuck = only(judge_runs([], [started, queued], 1300.0, "d"))
    assert (stuck.state, stuck.says) == ("attention", "1 runs are queued, the first for 20 min: d/runs")


def test_the_last_drift_report(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert "report_drift" in only(judge_drift_report(None, MOMENT, settings)).says
    report = tmp_path / "2013-05-01T1200.json"
    report.touch()
    os.utime(report, (MOMENT.timestamp(), MOMENT.timestamp()))
    recent = only(judge_drift_report(report, MOMENT + timedelta(hours=3), settings))
    assert (recent.state, recent.says.split(" old")[0]) == ("ok", "the last report, 2013-05-01T1200, is 3 h")
    assert only(judge_drift_report(report, MOMENT + timedelta(days=3), settings)).state == "attention"


@pytest.mark.parametrize(
    ("changes", "verdict", "part"),
    [
        ({}, "ok", "delay_v1 is good: 9 weeks"),
        ({"outcome": "inconclusive"}, "ok", "delay_v1 is inconclusive: 9 weeks"),
        ({"outcome": "bad"}, "attention", "delay_v1 is not well: 9 weeks"),
        ({"late_labels": "labels are 99 h behind"}, "attention", "labels are 99 h behind"),
        ({"as_of": MOMENT - timedelta(hours=37)}, "attention", "the last look at delay_v1 was 37 h of event time ago"),
        (
            {"triton_model": "delay_v0"},
            "attention",
            "delay_v1 answers, the last look was at delay_v0: run judge_health",
        ),
    ],
)
def test_the_health_of_the_model_that_answers(changes: dict[str, Any], verdict: str, part: str) -> None:
    outcome = HealthVerdict(changes.pop("outcome", "good"), "9 weeks", None)
    report = replace(looked("delay_v1", outcome, MOMENT), **changes)
    finding = only(judge_model_health(report, STATE, MOMENT))
    assert (finding.state, finding.section) == (verdict, "3.6 Drift")
    assert part in finding.says


def test_a_model_that_is_not_well_and_whose_labels_are_late_is_two_findings() -> None:
    report = looked("delay_v1", HealthVerdict("bad", "2 bad windows", None), MOMENT)
    assert len(judge_model_health(replace(report, late_labels="late"), STATE, MOMENT)) == 2


def test_health_that_nobody_has_looked_at() -> None:
    assert only(judge_model_health(None, None, MOMENT)).state == "ok"
    finding = only(judge_model_health(None, STATE, MOMENT))
    assert (finding.state, finding.says) == (
        "attention", "nobody has looked at the model's health yet: run the job judge_health",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (119, "119 s"), (7000, "117 min"), (7200, "2 h"), (4e5, "5 days"), (-7200, "-2 h")]
)  # fmt: skip
def test_a_length_of_time(seconds: float, said: str) -> None:
    assert duration(seconds) == said


WATERMARK = Watermark(base="b", watermark_us=int(NOW.timestamp() * 1e6), events=12, late=1)


def test_an_updater_that_keeps_up_says_how_far_it_is() -> None:
    finding = judge_updater(judge(WATERMARK, NOW + timedelta(seconds=90), 0, 0.0))
    assert (finding.state, finding.section) == ("ok", "3.3 Online features")
    assert finding.says == (
        "complete up to 90 s before the event clock, nothing waits; 12 events since the base, 1 too late, 0 refused"
    )


@pytest.mark.parametrize(
    ("document", "later_s", "part"),
    [
        (None, 0, "no updater has written a watermark"),
        (Watermark(problem="no base: materialize online_store"), 0, "no base: materialize online_store"),
        (WATERMARK, 301, "the watermark is 301 s behind the event clock"),
    ],
)
def test_what_is_wrong_with_live_events_is_said_as_dagster_says_it(
    document: Watermark | None, later_s: float, part: str
) -> None:
    found = judge(document, NOW + timedelta(seconds=later_s), 0, 0.0)
    finding = judge_updater(found)
    assert finding.state == "attention"
    assert part in finding.says
    assert finding.says.startswith(found.reason)
