"""What the notices say: plain functions from what happened to a Notice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orchestration.notices.notice import Notice, Severity
from serving_gateway.contracts.rollout import RolloutState

# A failed check says what it found in these of its metadata, in this order.
_FINDINGS = ("reason", "broken", "column", "rule", "count", "day")


@dataclass(frozen=True)
class FailedCheck:
    """An asset check that did not pass, and its metadata as text."""

    asset: str
    name: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed. `error` is the innermost cause; `step` is empty where no step failed.

    `hooks`: what went wrong in the hooks that should have acted on the failure.
    """

    job: str
    url: str
    step: str
    error: str
    checks: tuple[FailedCheck, ...]
    time: datetime
    hooks: tuple[str, ...] = ()


def failed_run(run: FailedRun) -> Notice:
    """A run that failed: which step, why, and what its failed checks found."""
    lines = [f"step {run.step}: {run.error}" if run.step else run.error]
    for check in run.checks:
        found = [f"{label} {check.metadata[label]}" for label in _FINDINGS if check.metadata.get(label)]
        lines.append(f"check {check.name} on {check.asset} failed: {'; '.join(found) or 'see the run'}")
    lines += [f"hook {hook}" for hook in run.hooks]
    return Notice(
        severity=_severity(run), title=f"Run of {run.job} failed", text="\n".join(lines), link=run.url, time=run.time
    )


def stale_features(reason: str, link: str, time: datetime) -> Notice:
    """The online store is behind what the policy allows."""
    return Notice(
        severity="SEV3",
        title="Live features are stale",
        text=f"{reason}. Answers still come, from older features; nothing is rolled back for that.",
        link=link,
        time=time,
    )


def data_alarm(what: str, reason: str, link: str, time: datetime) -> Notice:
    """The features that were served are not as usual. `what` is `nulls`, `ranges` or `freshness`, `link` the report."""
    return Notice(
        severity="SEV3",
        title=f"Data alarm: {what}",
        text=f"{reason}. Every arm was given the same, so nothing is rolled back: look at the features' sources.",
        link=link,
        time=time,
    )


def online_store_lost(reason: str, seconds: float, rows: int, time: datetime, link: str) -> Notice:
    """The online store had lost what was in it, and was written anew from journal and lake."""
    return Notice(
        severity="SEV3",
        title="The online store was written anew",
        text=f"{reason}: {rows} rows written in {seconds:.1f} s. Until then requests were answered without them.",
        link=link,
        time=time,
    )


def gateway_trip(state: RolloutState, link: str) -> Notice:
    """A gateway stopped a canary by itself. `state` is the change that it wrote, `link` the gateway's /rollout."""
    canary = state.arms.canary.triton_model if state.arms.canary else "the canary"
    return Notice(
        severity="SEV2",
        title=f"{canary} was stopped by {state.actor}",
        text=f"{state.reason}. {state.arms.baseline.triton_model} answers everything since "
        f"epoch {state.epoch}, generation {state.generation}.",
        link=link,
        time=datetime.fromisoformat(state.time),
    )


def unreadable_change(reason: str, link: str, now: datetime) -> Notice:
    """An entry of the rollout's audit holds no rollout state. `reason` names it, `link` is the gateway's /rollout."""
    return Notice(
        severity="SEV3",
        title="A change of the rollout cannot be read",
        text=f"{reason}. It is passed over: compare what is served with what was meant.",
        link=link,
        time=now,
    )


def _severity(run: FailedRun) -> Severity:
    if run.job == "rollback" or run.hooks:  # a convicted canary may still have traffic
        return "SEV1"
    return "SEV2" if any(check.asset == "canary_verdict" for check in run.checks) else "SEV3"
