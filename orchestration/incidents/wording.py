"""The parts of the document that are small tables and commands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.incidents.document import plain
from orchestration.incidents.incident import Incident, trial_of
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState


@dataclass(frozen=True)
class Told:
    """Notices of the incident's time, and how many of all notices wait for Slack."""

    notices: int
    waiting: int


def header(incident: Incident, trial: Sequence[RolloutState], told: Told, settings: Settings) -> str:
    """The part `header`. `trial`: the states of the trial that was rolled back, as far as they are known."""
    rows = {
        "severity": incident.severity,
        "began (UTC)": _instant(incident.began),
        "noticed (UTC)": _instant(incident.noticed),
        "ended (UTC)": _instant(incident.ended) if incident.ended else "not yet",
        "what": incident.title,
        **_rollout(incident, trial),
        "who was told": "; ".join(_told(incident, told, settings)),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {plain(value)} |" for name, value in rows.items())])


def commands(incident: Incident, settings: Settings, start: datetime) -> str:
    """The part `commands`: what to type to see more, from the checkout."""
    lines = [
        "make doctor",
        ".venv/bin/python -m serving_gateway.history --last 50",
        f".venv/bin/python -m orchestration.notices --since {start.astimezone(UTC):%FT%TZ}",
        f"curl -s {settings.gateway_url}/rollout",
    ]
    if incident.rollback is not None:
        lines.append(".venv/bin/python -m orchestration.rollout.shadow_review")
    else:
        lines.append(f"curl -s {settings.gateway_url}/metrics | grep -E '^serving_app_(requests|fallbacks)_total'")
    pages = [f"{settings.dagster_url}/runs", f"{settings.dagster_url}/assets/rollout_state"]
    pages += sorted({url for alert in incident.alerts if (url := alert.annotations.get("runbook_url", ""))})
    return "\n".join(["```bash", *lines, "```", "", "Pages: " + ", ".join(f"<{plain(page)}>" for page in pages)])


def issue_url(settings: Settings, issue: str) -> str:
    """Where a person reads an issue of Jira."""
    return f"{settings.jira_url.rstrip('/')}/browse/{issue}"


def _rollout(incident: Incident, trial: Sequence[RolloutState]) -> dict[str, str]:
    state = incident.rollback
    if state is None:
        return {}
    canary = state.arms.canary.triton_model if state.arms.canary else "none"
    began = datetime.fromisoformat(trial[0].time)
    return {
        "by, because": f"{state.actor}: {state.reason}",
        "models": f"{canary} was on trial, {state.arms.baseline.triton_model} answers",
        "trial (epoch:generation)": "{}:{}, since {}".format(*trial_of(state), _instant(began)),
    }


def _told(incident: Incident, told: Told, settings: Settings) -> list[str]:
    said = []
    if incident.alerts:
        said.append(f"by Alertmanager, whom its routes name for {incident.severity}")
    if told.notices and settings.posts_to_slack:
        late = f" (Slack was away when this was written, {told.waiting} waited)" if told.waiting else ""
        said.append(f"Slack, by {told.notices} notices of that time{late}")
    elif told.notices:
        said.append(f"nobody by Slack, which is not set up: {told.notices} notices of that time are kept")
    if incident.issue:
        said.append(f"Jira: {issue_url(settings, incident.issue)}")
    elif incident.refused:
        said.append(f"not Jira: {incident.refused}")
    elif not incident.no_jira and settings.jira_url:
        said.append("Jira: its issue waits to be opened")
    return said or ["nobody by the platform"]


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
