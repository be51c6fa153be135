"""What an incident rests on: the verdict's tests of a trial that was rolled back, the alerts of a group."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestration.incidents.document import plain
from orchestration.incidents.incident import Incident, trial_of
from orchestration.incidents.sources import Period
from orchestration.incidents.webhook import Alert
from orchestration.rollout.evidence_documents import EvidenceDocument, read_document
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import on_trial


def states_of_trial(one: RolloutState, audit: Iterable[RolloutState]) -> list[RolloutState]:
    """The states of the trial that `one` is of, oldest first; at least `one` itself."""
    found = [state for state in audit if state.arms.canary == one.arms.canary and _is_of(state, one)]
    return found if one in found else [*found, one]


def last_tried(audit: Sequence[RolloutState], period: Period) -> RolloutState | None:
    """The last state within `period`, or the one that stood when it began, in which a model was on trial."""
    until = [state for state in audit if datetime.fromisoformat(state.time) <= period.end]
    within = [state for state in until if datetime.fromisoformat(state.time) >= period.start]
    before = until[: len(until) - len(within)][-1:]
    return next((state for state in reversed([*before, *within]) if on_trial(state)), None)


def rests_on_evidence(state: RolloutState) -> bool:
    """Whether a verdict stands behind this change."""
    return state.trial is not None and bool(state.trial.evidence)


def documents_of(states: Iterable[RolloutState], folder: Path) -> list[EvidenceDocument]:
    """The documents that these changes rest on, in order. Raises EvidenceDocumentError for one that is lost."""
    names = [state.trial.evidence for state in states if state.trial and state.trial.evidence]
    return [read_document(folder, name) for name in dict.fromkeys(names)]


def trial_evidence(rollback: RolloutState, documents: Sequence[EvidenceDocument], folder: Path, picture: str) -> str:
    """The part `evidence` of a rollback. `picture` is the name of the plot beside the document."""
    lines = [f"Ended by {plain(rollback.actor)}: {plain(rollback.reason)}.", ""]
    rests = rests_on_evidence(rollback)
    if rests and documents:
        last = documents[-1]
        name = rollback.trial.evidence if rollback.trial else ""
        lines += [
            f"Verdict `{last.outcome}` at event time {last.event_time}, decided: {last.decision.kind}.",
            f"The document is `{folder / name}`.",
            "",
            "| test | outcome | rows | evidence that it is worse | evidence that it is not | reason |",
            "|---|---|---:|---:|---:|---|",
        ]
        lines += [
            f"| {plain(c.name)} | {plain(c.outcome)} | {c.rows} | {_figure(c.e_fail)} | {_figure(c.e_pass)} | {plain(c.reason)} |"
            for c in last.criteria
        ]
        lines.append("")
    else:
        lines += [
            "No verdict stands behind it: a person or a gateway's reflex acted, or the evidence was not kept.",
            "",
        ]
    if earlier := documents[:-1] if rests else documents:
        lines += [
            "What earlier steps rested on:",
            "",
            "| event time | verdict | decision | reason |",
            "|---|---|---|---|",
        ]
        lines += [f"| {d.event_time} | {d.outcome} | {d.decision.kind} | {plain(d.decision.reason)} |" for d in earlier]
        lines.append("")
    lines.append(f"![The canary's share over the trial, and the evidence that ended it]({picture})")
    return "\n".join(lines)


def alert_evidence(incident: Incident, trial: Sequence[RolloutState], picture: str) -> str:
    """The part `evidence` of an alert: what each says, since when, the query behind it, and the trial of that time."""
    lines = ["No alert and no verdict: a person wrote this down."]
    if incident.alerts:
        lines = ["| alert | since | until | what it says | look at |", "|---|---|---|---|---|"]
        lines += [_alert_row(alert) for alert in sorted(incident.alerts, key=lambda a: a.starts_at)]
    if not trial:
        return "\n".join([*lines, "", "No model was on trial at that time."])
    canary = trial[-1].arms.canary
    name = canary.triton_model if canary else "none"
    said = "{} was on trial at that time (epoch:generation {}:{}).".format(plain(name), *trial_of(trial[-1]))
    return "\n".join([*lines, "", said, "", f"![The canary's share over its trial]({picture})"])


def _alert_row(alert: Alert) -> str:
    said = dict.fromkeys(filter(None, (alert.summary, alert.annotations.get("description", ""))))
    until = _instant(alert.ends_at) if alert.status == "resolved" else "it fires"
    links = {"query": alert.generator_url, "runbook": alert.annotations.get("runbook_url", "")}
    look = ", ".join(f"{what} <{_address(link)}>" for what, link in links.items() if link.startswith("http"))
    return f"| {plain(alert.name)} | {_instant(alert.starts_at)} | {until} | {plain('; '.join(said))} | {look} |"


def _address(link: str) -> str:
    return plain(link).replace(" ", "%20").replace("\\|", "%7C")


def _is_of(state: RolloutState, rollback: RolloutState) -> bool:
    return state.trial is not None and trial_of(state) == trial_of(rollback)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
