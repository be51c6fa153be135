"""What the doctor says of alerts that fire."""

from typing import Any

from orchestration.doctor.alerts import judge_alerts
from tests.orchestration.doctor.test_findings import only


def alert(name: str, severity: str) -> dict[str, Any]:
    annotations = {"description": f"{name} in words.", "runbook_url": "docs/runbook.md#4-rollback"}
    return {"labels": {"alertname": name, "severity": severity}, "annotations": annotations}


def test_what_fires_is_told_the_gravest_first_with_its_section() -> None:
    found = judge_alerts([alert("RunFailed", "sev3"), alert("CanaryTripped", "sev2")], "Slack")
    assert [finding.says for finding in found] == [
        "SEV2 CanaryTripped: CanaryTripped in words. See docs/runbook.md#4-rollback",
        "SEV3 RunFailed: RunFailed in words. See docs/runbook.md#4-rollback",
    ]
    assert {(finding.state, finding.section) for finding in found} == {("attention", "3.9 Alerts")}


def test_an_alert_that_somebody_else_sends_is_told_too() -> None:
    assert only(judge_alerts([{"labels": {"alertname": "Foreign"}, "annotations": {}}], "Slack")).state == "attention"


def test_where_none_fires_it_says_who_would_be_told() -> None:
    assert only(judge_alerts([], "Slack and PagerDuty")).says == "none fires; they go to Slack and PagerDuty"
