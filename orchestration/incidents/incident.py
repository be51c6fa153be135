"""An incident, as far as machines know it."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from orchestration.incidents.webhook import Alert, Severity
from serving_gateway.contracts.rollout import RolloutState

_NAME_LENGTH = 48


@dataclass(frozen=True)
class Incident:
    """One document, one issue. Instants are UTC.

    `id` names it for ever, and is a label of its issue. `signs` counts what was heard of it and came of telling Jira, `documented` how many of
    these its document holds. `alerts` are its latest by fingerprint; `rollback` is the state that ended a trial.
    """

    id: str
    severity: Severity
    title: str
    name: str
    began: datetime
    noticed: datetime
    ended: datetime | None = None
    signs: int = 1
    documented: int = 0
    alerts: tuple[Alert, ...] = ()
    receiver: str = ""
    rollback: RolloutState | None = None
    issue: str = ""
    asked: datetime | None = None
    commented: bool = False
    refused: str = ""
    no_jira: bool = False


def stamp(instant: datetime) -> str:
    """An instant in an id or a label: no colons, no spaces."""
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def short(text: str, length: int = 10) -> str:
    """A digest of `text` that is short enough to be read."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def slug(text: str) -> str:
    """`text` as a part of a file's name: lower case, digits and hyphens; `DriftVerdict` is `drift-verdict`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", apart.lower()).strip("-")[:_NAME_LENGTH].strip("-") or "incident"


def trial_of(state: RolloutState) -> tuple[int, int]:
    """(epoch, generation) of the trial that a rollback ended; its own where the state does not tell."""
    return (state.trial.epoch, state.trial.generation) if state.trial else (state.restores or state.position)
