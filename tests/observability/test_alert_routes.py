"""Alertmanager's shipped configuration: who is told of which severity, and what mutes what."""

import re
import shutil
import subprocess
from itertools import pairwise
from typing import Any

import pytest
import yaml

from tests.observability.rules import duration, rules
from tests.servers import ROOT

FILE = ROOT / "observability" / "alertmanager" / "alertmanager.yml"
SHIPPED: dict[str, Any] = yaml.safe_load(FILE.read_text())
PROMETHEUS = yaml.safe_load((ROOT / "observability" / "prometheus" / "prometheus.yml").read_text())
RECEIVERS = {receiver["name"]: receiver for receiver in SHIPPED["receivers"]}
needs_amtool = pytest.mark.skipif(
    shutil.which("amtool") is None, reason="no alertmanager: as root, apt-get install prometheus-alertmanager"
)


@needs_amtool
@pytest.mark.parametrize(
    ("severity", "receiver"), [("sev1", "on-call"), ("sev2", "on-call"), ("sev3", "channel"), ("", "channel")]
)
def test_a_severity_is_told_to_whom_it_concerns(severity: str, receiver: str) -> None:
    asked = ["amtool", "config", "routes", "test", f"--config.file={FILE}", "alertname=A", "service=b"]
    asked += [f"severity={severity}"] if severity else []
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [receiver]


def test_the_on_call_are_paged_everybody_reads_it_in_slack_and_incidents_are_told_of_all() -> None:
    kinds = {name: {kind for kind in receiver if kind != "name"} for name, receiver in RECEIVERS.items()}
    assert kinds == {
        "on-call": {"pagerduty_configs", "slack_configs", "webhook_configs"},
        "channel": {"slack_configs", "webhook_configs"},
    }
    configs = [c for receiver in RECEIVERS.values() for kind in kinds[receiver["name"]] for c in receiver[kind]]
    assert all(config["send_resolved"] for config in configs)
    assert {config["channel"] for config in configs if "channel" in config} == {"#mlops-alerts"}
    assert {config["url"] for config in configs if "url" in config} == {"http://incidents:8400/alerts"}


def test_a_fault_without_a_hold_time_is_told_within_a_minute_by_its_waits() -> None:
    """One scrape, one evaluation, one group's wait at the worst."""
    waits = [PROMETHEUS["global"][name] for name in ("scrape_interval", "evaluation_interval")]
    assert sum(duration(wait).total_seconds() for wait in [*waits, SHIPPED["route"]["group_wait"]]) <= 45


def test_secrets_are_files() -> None:
    assert SHIPPED["global"]["slack_api_url_file"].startswith("/run/secrets/")
    assert RECEIVERS["on-call"]["pagerduty_configs"][0]["routing_key_file"].startswith("/run/secrets/")
    assert not re.search(r"(routing_key|service_key|api_url|password|token): ", FILE.read_text())


def test_what_mutes_and_what_is_muted_are_alerts_that_there_are() -> None:
    text = yaml.safe_dump(SHIPPED["inhibit_rules"])
    named = {name for found in re.findall(r'alertname=~?"([\w|]+)"', text) for name in found.split("|")}
    assert len(named) > 10
    assert named <= set(rules("alert"))


def test_no_alert_mutes_itself() -> None:
    """Alertmanager would let it through, and two that mute each other, neither."""
    pairs = set()
    for rule in SHIPPED["inhibit_rules"]:
        sources, targets = (
            re.findall(r"[A-Z]\w+", " ".join(rule[side])) for side in ("source_matchers", "target_matchers")
        )
        pairs |= {(source, target) for source in sources for target in targets}
    assert pairs
    assert not {pair for pair in pairs if pair[::-1] in pairs}


def test_a_graver_alert_is_repeated_sooner() -> None:
    route = SHIPPED["route"]
    repeats = [duration(one["repeat_interval"]) for one in (*route["routes"], route)]
    assert all(sooner < later for sooner, later in pairwise(repeats))
