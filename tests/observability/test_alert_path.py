"""From a fault to Slack, PagerDuty and the incidents: the real Prometheus and Alertmanager, as `make up` starts them.

The intervals, waits and routes are those that are shipped. What is scraped and who is told are stand-ins on loopback; the
metrics are those of the gateway's own code, the gauges are written as runs write them.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest

from orchestration.doctor.alerts import check_alerts
from orchestration.embedded.alerting import addresses, installed
from orchestration.embedded.health import probes
from orchestration.embedded.stack import Stack
from orchestration.features.live.metrics import Metrics as UpdaterMetrics
from orchestration.gauges import FOLDER, Gauge, write_gauges
from orchestration.settings import ROOT, Settings
from serving_gateway.metrics import Metrics
from tests.observability.receivers import INCIDENTS, PAGERDUTY, SLACK, Inbox, exposing, receiving, reports
from tests.servers import free_port, wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        len(installed()) < 2,
        reason="no prometheus or alertmanager: as root, apt-get install prometheus prometheus-alertmanager",
    ),
]
WITHIN_S = 60
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
WEBHOOK = "/services/T000/B000/xyz"


@dataclass
class Watched:
    """A platform that is watched; `faulty_at` is when it broke, monotonic seconds."""

    settings: Settings
    gateway: Metrics
    slack: Inbox
    pagerduty: Inbox
    incidents: Inbox
    faulty_at: float = 0.0

    def series(self, query: str) -> list[dict[str, Any]]:
        url = f"{addresses(self.settings)['prometheus']}/api/v1/query"
        found = httpx.get(url, params={"query": query}, trust_env=False).raise_for_status().json()
        return list(found["data"]["result"])

    def alerts(self, name: str) -> list[dict[str, Any]]:
        url = f"{addresses(self.settings)['alertmanager']}/api/v2/alerts"
        found = httpx.get(url, params={"filter": f'alertname="{name}"'}, trust_env=False)
        return list(found.raise_for_status().json())

    def drift(self, outcome: str) -> None:
        labels = {"hours": "24", "check": "inputs"}
        said = [Gauge("drift_verdict", {**labels, "outcome": o}, float(o == outcome), "as the report says") for o in ("pass", "fail")]  # fmt: skip
        write_gauges(self.settings.reports / FOLDER / "drift-24h.prom.txt", said)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """All is well, and every target has been scraped."""
    home = tmp_path_factory.mktemp("a [watched] home")
    settings = Settings(home=home, **{name: free_port() for name in Settings.port_defaults()})
    slack, pagerduty = free_port(), free_port()
    for name, secret in (("slack", f"http://127.0.0.1:{slack}{WEBHOOK}\n"), ("pagerduty", f"{ROUTING_KEY}\n")):
        (home / name).write_text(secret)
    with ExitStack() as started, pytest.MonkeyPatch.context() as environment:
        for name in ("SLACK_WEBHOOK_URL", "REPORTS_PATH"):
            environment.delenv(name, raising=False)
        environment.setenv("SLACK_WEBHOOK_URL_FILE", str(home / "slack"))
        environment.setenv("PAGERDUTY_ROUTING_KEY_FILE", str(home / "pagerduty"))
        environment.setenv("PAGERDUTY_URL", f"http://127.0.0.1:{pagerduty}/v2/enqueue")
        gateway = Metrics()
        watched = Watched(
            settings,
            gateway,
            started.enter_context(receiving(slack, WEBHOOK, SLACK)),
            started.enter_context(receiving(pagerduty, "/v2/enqueue", PAGERDUTY)),
            Inbox(),
        )
        started.enter_context(Stack(settings, configuration=_programs(home)))
        watched.incidents = started.enter_context(receiving(settings.incidents_port, "/alerts", INCIDENTS))
        gateway.ready.set(1)
        for status in ("200", "503"):
            gateway.responses("/predict", status)
        write_gauges(settings.reports / FOLDER / "dagster.prom.txt", _dagster())
        watched.drift("pass")
        updater = UpdaterMetrics()
        updater.store_up.set(1)
        started.enter_context(exposing(settings.gateway_port, gateway.exposition))
        started.enter_context(exposing(settings.triton_metrics_port, lambda: b""))
        started.enter_context(exposing(settings.updater_port, lambda: generate_latest(updater.registry)))
        started.enter_context(reports(settings.reports_port, settings.reports))
        wait_until(lambda: all(probes(settings)[name]() for name in ("prometheus", "alertmanager")), timeout_s=30)
        wait_until(lambda: len(watched.series('up{job!="gauges"} == 1')) == 6, timeout_s=30)
        wait_until(lambda: watched.series("drift_verdict"), timeout_s=30)
        yield watched


@pytest.fixture(scope="module")
def broken(watched: Watched) -> Watched:
    """The inputs drift, predictions fail, and the online store was away: none of these alerts has a hold time."""
    outage = {"alertname": "InferenceOutage", "severity": "sev1", "service": "serving"}
    watched.faulty_at = time.monotonic()
    watched.drift("fail")
    watched.gateway.responses("/predict", "503").inc(1000)
    watched.gateway.degraded.inc(10)
    watched.gateway.spool_dropped.inc(3)
    # As Prometheus would send it, ten minutes later.
    url = f"{addresses(watched.settings)['alertmanager']}/api/v2/alerts"
    httpx.post(url, json=[{"labels": outage, "annotations": {"summary": "Inference outage"}}], trust_env=False).raise_for_status()  # fmt: skip
    for inbox, title in ((watched.slack, slack_title), (watched.pagerduty, pagerduty_title)):
        wait_until(lambda inbox=inbox, title=title: told(inbox, title, "The inputs have drifted"), timeout_s=WITHIN_S)  # type: ignore[misc]
    wait_until(lambda: told(watched.slack, slack_title, "Predictions go unlogged"), timeout_s=WITHIN_S)
    return watched


def _programs(home: Path) -> Path:
    """The supervisor's configuration with these two programs alone."""
    shipped = (ROOT / "supervisord.conf").read_text()
    file = home / "programs.conf"
    file.write_text(shipped.partition("[group:")[0] + "[include]" + shipped.partition("[include]")[2])
    (home / "dagster" / "schedules").mkdir(parents=True)
    (home / "dagster" / "schedules" / "schedules.db").touch()  # counts as made: nothing here runs Dagster
    return file


def _dagster() -> list[Gauge]:
    return [Gauge("dagster_look_timestamp_seconds", {}, datetime.now(UTC).timestamp(), "now")]


def slack_title(body: dict[str, Any]) -> str:
    return str(body["attachments"][0]["title"])


def pagerduty_title(body: dict[str, Any]) -> str:
    return str(body["payload"]["summary"] if "payload" in body else "")


def told(inbox: Inbox, title: Any, what: str) -> list[tuple[float, dict[str, Any]]]:
    return inbox.matching(lambda body: what in title(body))


def test_a_sev2_is_in_slack_within_a_minute_in_plain_words(broken: Watched) -> None:
    ((at, body),) = told(broken.slack, slack_title, "The inputs have drifted")
    print(f"in Slack after {at - broken.faulty_at:.0f} s")
    assert at - broken.faulty_at <= WITHIN_S
    assert body["channel"] == "#mlops-alerts"
    (attachment,) = body["attachments"]
    assert attachment["title"] == attachment["fallback"] == "[SEV2] The inputs have drifted"
    assert attachment["color"] == "danger"
    assert attachment["text"].startswith("The last report on 24 hours of requests finds more features")
    assert attachment["text"].endswith("Runbook: docs/runbook.md#36-drift")
    assert attachment["title_link"].startswith(addresses(broken.settings)["alertmanager"])


def test_a_sev2_pages_within_a_minute(broken: Watched) -> None:
    """The payload is that of PagerDuty's Events API v2."""
    ((at, body),) = told(broken.pagerduty, pagerduty_title, "The inputs have drifted")
    assert at - broken.faulty_at <= WITHIN_S
    assert (body["routing_key"], body["event_action"], body["client"]) == (ROUTING_KEY, "trigger", "Drift Platform")
    assert len(body["dedup_key"]) == 64
    payload = body["payload"]
    assert (payload["summary"], payload["severity"]) == ("[SEV2] The inputs have drifted", "error")
    assert (payload["class"], payload["component"], payload["group"]) == ("DriftDetected", "model", "Drift Platform")
    assert payload["source"]
    assert payload["custom_details"]["runbook"] == "docs/runbook.md#36-drift"
    assert "24 hours of requests" in payload["custom_details"]["firing"]


def test_a_sev1_pages_as_critical_and_all_reach_the_incidents(broken: Watched) -> None:
    ((_, paged),) = told(broken.pagerduty, pagerduty_title, "Inference outage")
    assert (paged["payload"]["severity"], paged["payload"]["summary"]) == ("critical", "[SEV1] Inference outage")
    severities = {"InferenceOutage": "sev1", "DriftDetected": "sev2", "SpoolDrops": "sev3"}

    def groups() -> dict[str, dict[str, Any]]:
        return {body["groupLabels"]["alertname"]: body for _, body in broken.incidents.received}

    wait_until(lambda: severities.keys() <= groups().keys(), timeout_s=WITHIN_S)
    found = groups()
    assert {name: found[name]["commonLabels"]["severity"] for name in severities} == severities
    assert found["SpoolDrops"]["receiver"] == "channel"
    drift = found["DriftDetected"]
    assert (drift["version"], drift["status"], drift["receiver"]) == ("4", "firing", "on-call")
    (alert,) = drift["alerts"]
    assert {"severity": "sev2", "service": "model", "hours": "24"}.items() <= alert["labels"].items()
    assert len(alert["fingerprint"]) == 16


def test_a_sev3_is_in_slack_and_pages_nobody(broken: Watched) -> None:
    ((at, body),) = told(broken.slack, slack_title, "Predictions go unlogged")
    assert at - broken.faulty_at <= WITHIN_S
    assert (slack_title(body), body["attachments"][0]["color"]) == ("[SEV3] Predictions go unlogged", "warning")
    assert told(broken.pagerduty, pagerduty_title, "Predictions go unlogged") == []


@pytest.mark.parametrize("muted", ["DegradedAnswers", "AvailabilityBudgetBurnsFast", "AvailabilityBudgetBurnsSlowly"])
def test_an_outage_mutes_its_symptoms(broken: Watched, muted: str) -> None:
    wait_until(lambda: broken.alerts(muted), timeout_s=30)
    (alert,) = broken.alerts(muted)
    assert alert["status"]["state"] == "suppressed"
    (outage,) = broken.alerts("InferenceOutage")
    assert outage["fingerprint"] in alert["status"]["inhibitedBy"]
    summary = alert["annotations"]["summary"]
    assert told(broken.slack, slack_title, summary) == told(broken.pagerduty, pagerduty_title, summary) == []


def test_nothing_in_prometheus_or_alertmanager_went_wrong(broken: Watched) -> None:
    """And the metrics of theirs that rules rest on are there."""
    assert broken.series("sum(prometheus_rule_evaluation_failures_total) > 0") == []
    assert broken.series("sum(alertmanager_notifications_failed_total) > 0") == []
    assert broken.series('prometheus_rule_evaluation_failures_total{rule_group!=""}')
    integrations = {s["metric"]["integration"] for s in broken.series("alertmanager_notifications_failed_total")}
    assert {"slack", "pagerduty", "webhook"} <= integrations


def test_the_doctor_says_what_fires_and_leaves_out_what_is_muted(broken: Watched) -> None:
    says = [finding.says for finding in check_alerts(broken.settings)]
    assert says[0].startswith("SEV1 InferenceOutage")
    assert any(one.startswith("SEV2 DriftDetected: The last report on 24 hours") for one in says)
    assert not any("DegradedAnswers" in one for one in says)


@pytest.mark.full
def test_who_was_told_of_a_fault_is_told_of_its_end(broken: Watched) -> None:
    ((_, trigger),) = told(broken.pagerduty, pagerduty_title, "The inputs have drifted")
    broken.drift("pass")
    mended = time.monotonic()

    def resolved() -> list[tuple[float, dict[str, Any]]]:
        return broken.pagerduty.matching(lambda body: body["event_action"] == "resolve")

    wait_until(resolved, timeout_s=90)
    ((at, body),) = resolved()
    assert (body["dedup_key"], body["routing_key"]) == (trigger["dedup_key"], ROUTING_KEY)
    wait_until(lambda: told(broken.slack, slack_title, "[resolved SEV2] The inputs have drifted"), timeout_s=10)
    (attachment,) = told(broken.slack, slack_title, "[resolved SEV2]")[0][1]["attachments"]
    assert attachment["color"] == "good"
    assert attachment["text"].startswith("Over since ")
    last = broken.incidents.matching(lambda body: body["status"] == "resolved")
    assert [body["groupLabels"]["alertname"] for _, body in last] == ["DriftDetected"]
    print(f"told of the end after {at - mended:.0f} s")
