"""What fires, and is anybody told?"""

from collections.abc import Sequence
from typing import Any

import httpx

from orchestration.doctor.finding import Finding, State
from orchestration.embedded.alerting import told, watching
from orchestration.settings import Settings

_NEWS = {"active": "true", "silenced": "false", "inhibited": "false"}


def check_alerts(settings: Settings) -> list[Finding]:
    """Alerts that are neither silenced nor muted by another one. Raises httpx.HTTPError where Alertmanager is away."""
    there = watching(settings)
    if len(there) < 2:  # Prometheus and Alertmanager, each worth nothing without the other
        says = (
            "nobody is told of anything: as root, apt-get install prometheus prometheus-alertmanager, and start again"
        )
        return [_finding("attention", says)]
    url = f"{there['alertmanager']}/api/v2/alerts"
    answer = httpx.get(url, params=_NEWS, timeout=5, trust_env=False).raise_for_status()
    return judge_alerts(answer.json(), told(settings))


def judge_alerts(firing: Sequence[dict[str, Any]], channels: str) -> list[Finding]:
    """`firing` as Alertmanager's API v2 gives them; `channels` says in words who is told. The gravest stands first."""
    by_severity = sorted(firing, key=lambda alert: str(alert["labels"].get("severity", "")))
    found = [_finding("attention", _described(alert)) for alert in by_severity]
    return found or [_finding("ok", f"none fires; they go to {channels}")]


def _described(alert: dict[str, Any]) -> str:
    labels, annotations = alert["labels"], alert["annotations"]
    severity, name = str(labels.get("severity", "")).upper(), labels["alertname"]
    return f"{severity} {name}: {annotations.get('description', '')} See {annotations.get('runbook_url', 'the rule')}"


def _finding(state: State, says: str) -> Finding:
    return Finding("alerts", state, says, "3.9 Alerts")
