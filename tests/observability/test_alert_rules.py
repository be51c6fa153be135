"""The alert rules: whom they wake, where they send, that they rest on what is exposed, and that promtool has tried each."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest

from orchestration.drift.gauges import drift_gauges
from orchestration.features.live.metrics import Metrics as UpdaterMetrics
from orchestration.features.live.policy import LAG_S
from orchestration.features.skew.gauges import skew_gauges
from orchestration.features.skew.judged import JudgedDay
from orchestration.gauges import Gauge
from orchestration.health.gauges import health_gauges
from orchestration.incidents.metrics import Metrics as IncidentMetrics
from orchestration.rollout.gauges import convergence_gauges, evidence_gauges
from orchestration.rollout.policy import shipped_policy
from orchestration.rollout.verdict import Verdict
from serving_gateway.metrics import Metrics
from tests.docs.markdown import anchors, table
from tests.observability.exposed import SENSOR, labels_by_name
from tests.observability.rules import FOLDER, INTERVAL, RULE_FILES, TEST_FILES, cases, duration, rules, selectors
from tests.orchestration.drift.test_gauges import judged
from tests.orchestration.features.skew.test_skew_gauges import REPORT as SKEW
from tests.orchestration.features.skew.test_skew_gauges import SkewVerdict
from tests.orchestration.health.test_health_report import bad_report
from tests.orchestration.rollout.test_rollout_gauges import state
from tests.servers import ROOT
from tests.serving_gateway.test_gateway_metrics import used

ALERTS, RECORDED = rules("alert"), rules("record")
NOW = datetime(2026, 5, 1, tzinfo=UTC)
HERE = Path(__file__).parent
# What Prometheus puts to every series that it scrapes.
TARGET = {"job", "instance", "file"}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no prometheus: as root, apt-get install prometheus"
)


@cache
def exposed() -> dict[str, set[str]]:
    """Every series that may be asked for, with its labels: what the code exposes, and what others are known to."""
    gauges: list[Gauge] = [
        *drift_gauges(judged(), hours=24, as_of=NOW, now=NOW),
        *health_gauges(bad_report()),
        *evidence_gauges(None, Verdict("inconclusive", "no model is on trial"), shipped_policy().evidence, NOW),
        *convergence_gauges(state(None), []),
        *skew_gauges(JudgedDay(None, SKEW, SkewVerdict("pass", "as in training")), NOW),
    ]
    return {
        "up": set(),
        **{gauge.name: set(gauge.labels) for gauge in gauges},
        **labels_by_name(used(Metrics()).exposition().decode()),
        **labels_by_name(generate_latest(UpdaterMetrics().registry).decode()),
        **labels_by_name(IncidentMetrics().exposition().decode()),
        **labels_by_name(SENSOR.read_text()),
        **labels_by_name((HERE / "watchers.prom.txt").read_text()),
        **{name: set() for name in RECORDED},
    }


def test_a_selector_is_told_from_what_surrounds_it() -> None:
    expression = (
        'max by (a) (one{b=~"x|y{z}", c!="d"}) > 26 * 3600 and on () abs(time() - two) < vector(1) or three[5m]'
    )
    assert {(s.metric, tuple(sorted(s.labels))) for s in selectors(expression)} == {
        ("one", ("b", "c")),
        ("two", ()),
        ("three", ()),
    }


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_grave_it_is_whose_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"sev1", "sev2", "sev3"}
    assert rule["labels"]["service"]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/runbook.md"
    assert anchor in anchors(ROOT / page)


@pytest.mark.parametrize("name", [*ALERTS, *RECORDED])
def test_a_rule_asks_for_series_and_labels_that_are_exposed(name: str) -> None:
    known = exposed()
    asked = selectors({**ALERTS, **RECORDED}[name]["expr"])
    assert asked or name.endswith(":objective")
    assert {one.metric for one in asked} <= set(known)
    assert {one.metric: one.labels - known[one.metric] - TARGET for one in asked if one.labels - known[one.metric] - TARGET} == {}  # fmt: skip


def test_the_assets_and_checks_that_rules_name_are_defined() -> None:
    graph = json.loads((ROOT / "tests" / "orchestration" / "defs" / "graph.json").read_text())
    expressions = "".join(rule["expr"] for rule in ALERTS.values())
    assets = {asset for found in re.findall(r'asset=~?"([^"]+)"', expressions) for asset in found.split("|")}
    checks = {":".join(found) for found in re.findall(r'asset="(\w+)", check="(\w+)"', expressions)}
    assert checks
    assert assets > {check.partition(":")[0] for check in checks}
    assert assets <= set(graph["assets"])
    assert checks <= set(graph["checks"])


def test_the_bound_of_the_latency_objective_is_one_of_the_histogram() -> None:
    (bound,) = {part.split('"')[0] for rule in RECORDED.values() for part in rule["expr"].split('le="')[1:]}
    assert (
        f'serving_app_request_latency_seconds_bucket{{le="{bound}",model_variant="baseline"}}'
        in used(Metrics()).exposition().decode()
    )


def test_the_bound_of_the_events_lag_is_the_updaters_own() -> None:
    assert ALERTS["EventsWait"]["expr"] == f"max(features_lag_seconds) > {LAG_S:g}"


@pytest.mark.parametrize("severity", ["sev1", "sev2", "sev3"])
def test_the_runbooks_intake_names_every_alert_with_its_hold_time(severity: str) -> None:
    shown = table(ROOT / "docs" / "runbook.md", "1. Intake")[severity.upper()][1]
    said = dict(re.findall(r"`(\w+)`(?: \((\d+) min\))?", shown))
    holds = {
        name: str(duration(rule["for"]) // timedelta(minutes=1)) if "for" in rule else ""
        for name, rule in ALERTS.items()
        if rule["labels"]["severity"] == severity
    }
    assert said == holds


def test_an_outage_is_a_sev1_after_ten_minutes_and_nothing_else_is() -> None:
    assert [name for name, rule in ALERTS.items() if rule["labels"]["severity"] == "sev1"] == ["InferenceOutage"]
    assert duration(ALERTS["InferenceOutage"]["for"]) == timedelta(minutes=10)


@pytest.mark.parametrize("name", ALERTS)
def test_promtool_has_tried_each_alert_at_its_hold_time_just_before_and_in_good_weather(name: str) -> None:
    of_it = [case for case in cases() if case.alert == name]
    fires = {(case.story, case.at) for case in of_it if case.fires}
    quiet = {(case.story, case.at) for case in of_it if not case.fires}
    hold = duration(ALERTS[name].get("for", "0s"))
    assert any((story, at - INTERVAL) in quiet for story, at in fires if at >= hold), (
        "it fires then, and not just before"
    )
    assert any(story == ("good_weather.yml", 0) for story, _ in quiet)


def test_the_tests_evaluate_as_often_as_the_shipped_prometheus() -> None:
    shipped = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["global"]
    assert duration(shipped["evaluation_interval"]) == INTERVAL
    for path in TEST_FILES:
        assert duration(yaml.safe_load(path.read_text())["evaluation_interval"]) == INTERVAL


@needs_promtool
@pytest.mark.parametrize(
    "check", [("config", FOLDER / "prometheus.yml"), *(("rules", path) for path in RULE_FILES)], ids=str
)
def test_promtool_has_nothing_to_say(check: tuple[str, Path]) -> None:
    what, path = check
    done = subprocess.run(["promtool", "check", what, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@needs_promtool
@pytest.mark.integration
@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


@needs_promtool
@pytest.mark.integration
def test_a_rule_that_was_changed_is_caught_by_its_test(tmp_path: Path) -> None:
    """Or the tests would say nothing."""
    shutil.copytree(FOLDER / "rules", tmp_path / "rules")
    shutil.copytree(FOLDER / "tests", tmp_path / "tests")
    changed = tmp_path / "rules" / "platform.yml"
    changed.write_text(changed.read_text().replace("for: 2m", "for: 3m", 1))
    tested = ["promtool", "test", "rules", tmp_path / "tests" / "platform.yml"]
    done = subprocess.run(tested, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "alertname: TargetDown, time: 3m" in done.stderr
