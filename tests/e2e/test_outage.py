"""An outage from its first second to its last, without a hand on the keyboard but the one that breaks it and mends it.

Triton is kept down while the platform is up. The hold times of the alerts are scaled; observability/prometheus/tests proves
the real ones.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from orchestration.embedded.alerting import addresses, installed
from tests.e2e.conftest import ROUTING_KEY, OnCall, Platform
from tests.servers import BIN, ROOT, answers_200, wait_until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        len(installed()) < 2,
        reason="no prometheus or alertmanager: as root, apt-get install prometheus prometheus-alertmanager",
    ),
]
ALERT = "InferenceOutage"
HOLD = "5s"
WITHIN_S = 120
OPEN, OVER = r"\| ended \(UTC\) \| not yet \|", r"\| ended \(UTC\) \| \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \|"


@dataclass(frozen=True)
class Outage:
    """What was sent to whom, first when it began, then when it was over; the incident's document after each."""

    slack: tuple[dict[str, Any], dict[str, Any]]
    pagerduty: tuple[dict[str, Any], dict[str, Any]]
    document: tuple[str, str]


def supervisorctl(platform: Platform, *words: str) -> None:
    socket = f"unix://{platform.settings.home}/supervisor.sock"
    subprocess.run([BIN / "supervisorctl", "-s", socket, *words], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture(scope="module")
def impatient(platform: Platform) -> Iterator[Platform]:
    """The alerts hold for seconds."""
    rules = {path: path.read_text() for path in (platform.settings.home / "prometheus" / "rules").glob("*.yml")}
    assert any(ALERT in text for text in rules.values())

    def evaluated(hold_s: float) -> bool:
        url = f"{addresses(platform.settings)['prometheus']}/api/v1/rules"
        groups = httpx.get(url, trust_env=False).raise_for_status().json()["data"]["groups"]
        return any(rule["name"] == ALERT and rule["duration"] == hold_s for group in groups for rule in group["rules"])

    for path, text in rules.items():
        path.write_text(re.sub(r"\bfor: \w+", f"for: {HOLD}", text))
    supervisorctl(platform, "signal", "HUP", "prometheus")
    wait_until(lambda: evaluated(5), timeout_s=30)
    yield platform
    for path, text in rules.items():
        path.write_text(text)
    supervisorctl(platform, "signal", "HUP", "prometheus")
    wait_until(lambda: evaluated(600), timeout_s=30)


def documents(platform: Platform, *, holding: str) -> list[str]:
    """Of this outage, as far as they say so: a document is there an instant before its parts are."""
    texts = [path.read_text() for path in platform.settings.incidents.glob("*.md")]
    return [text for text in texts if f"# Incident: {ALERT}" in text and re.search(holding, text)]


@pytest.fixture(scope="module")
def outage(impatient: Platform, on_call: OnCall) -> Outage:
    """Triton goes down, and comes back once everybody has been told."""
    gateway = f"{impatient.settings.gateway_url}/ready"

    def in_slack(title: str) -> list[dict[str, Any]]:
        return [body for _, body in on_call.slack.matching(lambda body: slack_title(body) == title)]

    def paged(action: str) -> list[dict[str, Any]]:
        sent = [body for _, body in on_call.pagerduty.received]
        incidents = {body["dedup_key"] for body in sent if body.get("payload", {}).get("class") == ALERT}
        return [body for body in sent if body["event_action"] == action and body["dedup_key"] in incidents]

    began, over = "[SEV1] Inference outage", "[resolved SEV1] Inference outage"
    supervisorctl(impatient, "stop", "backing:triton")
    try:
        wait_until(
            lambda: in_slack(began) and paged("trigger") and documents(impatient, holding=OPEN), timeout_s=WITHIN_S
        )
        (first,) = documents(impatient, holding=OPEN)
    finally:
        supervisorctl(impatient, "start", "backing:triton")
        wait_until(lambda: answers_200(gateway), timeout_s=60)
    wait_until(lambda: in_slack(over) and paged("resolve"), timeout_s=WITHIN_S)
    wait_until(lambda: documents(impatient, holding=OVER), timeout_s=30)
    (last,) = documents(impatient, holding=OVER)
    return Outage((in_slack(began)[0], in_slack(over)[0]), (paged("trigger")[0], paged("resolve")[0]), (first, last))


def slack_title(body: dict[str, Any]) -> str:
    """Notices that Dagster posts have no attachment."""
    return str(body["attachments"][0]["title"]) if "attachments" in body else ""


def test_slack_is_told_that_it_began_and_that_it_is_over(outage: Outage) -> None:
    began, over = outage.slack
    assert began["channel"] == over["channel"] == "#mlops-alerts"
    (first,), (last,) = began["attachments"], over["attachments"]
    assert first["color"] == "danger"
    assert "No gateway has been ready" in first["text"]
    assert first["text"].endswith("Runbook: docs/runbook.md#2-immediate-checks")
    assert last["color"] == "good"
    assert last["text"].startswith("Over since ")


def test_one_page_is_sent_and_resolved_by_itself(outage: Outage) -> None:
    trigger, resolve = outage.pagerduty
    assert trigger["routing_key"] == resolve["routing_key"] == ROUTING_KEY
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"] == "[SEV1] Inference outage"
    assert resolve["dedup_key"] == trigger["dedup_key"]


def test_the_incident_has_written_itself_from_beginning_to_end(outage: Outage) -> None:
    began, ended = outage.document
    assert "| severity | SEV1 |" in began
    assert began.splitlines()[0] == ended.splitlines()[0], "it is one document"
    happened = [line for line in ended.splitlines() if re.match(r"\| \d{4}-\d\d-\d\d ", line)]
    assert happened == sorted(happened)
    assert any(f"alert fires: SEV1 {ALERT}" in line for line in happened)
    assert any(f"alert ends: SEV1 {ALERT}" in line for line in happened)
