"""What happened, from all who know: the audit stream, Dagster's runs, alerts, notices; one row of a timeline an event."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from orchestration.incidents.document import plain
from orchestration.incidents.entries import Heard
from orchestration.incidents.policy import DAGSTER_TIMEOUT_S, RUNS
from orchestration.notices.journal import read
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState

_TEXT_LIMIT = 300
_RUN_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_RUNS = """
query Runs($after: Float!, $before: Float!, $limit: Int!, $ids: [String!]!) {
  failed: runsOrError(filter: {statuses: [FAILURE], updatedAfter: $after, createdBefore: $before}, limit: $limit) { ...Found }
  named: runsOrError(filter: {runIds: $ids}) { ...Found }
}
fragment Found on RunsOrError {
  ... on Runs { results { runId jobName status startTime endTime assetSelection { path } } }
  ... on PythonError { message }
}"""


@dataclass(frozen=True)
class Period:
    """[`start`, `end`] in UTC."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant <= self.end


def row(at: datetime, what: str) -> str:
    """An event as a line of the timeline."""
    time = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    line = plain(what)
    return f"| {time} | {line if len(line) <= _TEXT_LIMIT else f'{line[:_TEXT_LIMIT]} ...'} |"


def change_rows(states: Iterable[RolloutState]) -> list[str]:
    """Changes of the rollout."""
    return [row(datetime.fromisoformat(state.time), f"rollout: {_change(state)}") for state in states]


def alert_rows(heard: Iterable[Heard], period: Period) -> list[str]:
    """Alerts that fired or ended in the period."""
    rows = []
    for alert in (alert for entry in heard for alert in entry.notification.alerts):
        severity = alert.labels.get("severity", "").upper() or "no severity"
        if alert.starts_at in period:
            rows.append(row(alert.starts_at, f"alert fires: {severity} {alert.name}: {alert.summary}"))
        if alert.status == "resolved" and alert.ends_at in period:
            rows.append(row(alert.ends_at, f"alert ends: {severity} {alert.name}"))
    return rows


def notice_rows(settings: Settings, period: Period) -> list[str]:
    """Notices of the period. Raises OSError."""
    found = [notice for notice in read(settings.notices).notices if notice.time in period]
    return [row(notice.time, f"notice: {notice.severity} {notice.title}: {notice.text}") for notice in found]


def run_rows(settings: Settings, period: Period, states: Sequence[RolloutState]) -> list[str]:
    """Dagster's runs that failed in the period, and those that changed the rollout by `states`.

    Raises httpx.HTTPError where the webserver is away, ValueError where it refuses the question.
    """
    named = sorted({found[0] for state in states if (found := _RUN_ID.search(state.actor))})
    variables = {
        "after": period.start.timestamp(),
        "before": period.end.timestamp(),
        "limit": RUNS,
        "ids": named or ["none"],
    }
    asked = {"query": _RUNS, "variables": variables}
    url = f"{settings.dagster_api_url}/graphql"
    answer = httpx.post(url, json=asked, timeout=DAGSTER_TIMEOUT_S, trust_env=False)
    try:
        data = answer.raise_for_status().json()["data"]
        runs = {run["runId"]: run for part in ("failed", "named") for run in data[part]["results"]}
    except (LookupError, TypeError):
        raise ValueError(f"Dagster does not say which runs there are: {answer.text[:200]}") from None
    return [line for run in runs.values() for line in _run(run)]


def _change(state: RolloutState) -> str:
    canary = state.arms.canary
    tried = f", {canary.triton_model} answers {state.canary_weight_bp / 100:g} %" if canary else ""
    shadow = f", shadows {state.shadow_fraction:.0%}" if state.arms.shadow else ""
    arms = f"{state.arms.baseline.triton_model}{tried}{shadow}"
    return f"{state.epoch}:{state.generation} {state.phase} ({arms}) by {state.actor}: {state.reason}"


def _run(run: dict[str, Any]) -> list[str]:
    job = str(run["jobName"])
    if job.startswith("__"):  # assets were selected by hand
        job = ", ".join(key["path"][-1] for key in run["assetSelection"] or []) or "assets"
    name = f"Dagster: {job}, run {run['runId']}"
    times = ((run["startTime"], "begins"), (run["endTime"], f"ends: {run['status']}"))
    return [row(datetime.fromtimestamp(at, UTC), f"{name} {what}") for at, what in times if at]
