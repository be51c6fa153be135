"""Writing one incident: gather what is known, and bring its document up to date."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from orchestration.drift.folder import write_whole
from orchestration.incidents.document import Part, body_of, new_document, timeline, with_parts
from orchestration.incidents.entries import Heard
from orchestration.incidents.evidence import (
    alert_evidence,
    documents_of,
    last_tried,
    rests_on_evidence,
    states_of_trial,
    trial_evidence,
)
from orchestration.incidents.folder import create, find, update
from orchestration.incidents.incident import Incident
from orchestration.incidents.policy import BEFORE, DAGSTER_RETRY_S, SAVED_S, SETTLE
from orchestration.incidents.sources import Period, alert_rows, change_rows, notice_rows, run_rows
from orchestration.incidents.wording import Told, commands, header
from orchestration.notices.journal import read
from orchestration.notices.outbox import waiting
from orchestration.retries import Backoff
from orchestration.rollout.evidence_documents import EvidenceDocument, EvidenceDocumentError, evidence_folder
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import RolloutState

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """What the process that writes knows by itself: the audit as far as it was followed, and what Alertmanager said."""

    audit: Sequence[RolloutState]
    heard: Sequence[Heard]


class Writer:
    """Documents in the settings' folder, by the template."""

    def __init__(self, settings: Settings, template: str) -> None:
        self._settings = settings
        self._template = template
        self._dagster, self._dagster_away = Backoff(*DAGSTER_RETRY_S), False
        self._drawn: dict[Path, tuple[int, int]] = {}

    def write(self, incident: Incident, known: Known, now: datetime) -> Path:
        """Create the document of `incident`, or extend it; returns its path. Raises OSError."""
        path = self.where(incident)
        if path is None:
            text = new_document(self._template, incident.id, incident.title)
            path = create(self._settings.incidents, incident.noticed, incident.name, text)
            _log.info("incident %s is written to %s", incident.id, path)
        parts = self._parts(incident, known, now, path)
        update(path, lambda text: with_parts(text, {part: write(text) for part, write in parts.items()}))
        return path

    def where(self, incident: Incident) -> Path | None:
        """The document of `incident`. Raises OSError."""
        path = find(self._settings.incidents, incident.id)
        if path is None and incident.documented:
            time.sleep(SAVED_S)
            path = find(self._settings.incidents, incident.id)
        return path

    def refresh(self, incident: Incident, known: Known, now: datetime) -> None:
        """Extend the document of `incident` by what came since; a person who removed it wants none. Raises OSError."""
        if self.where(incident) is not None:
            self.write(incident, known, now)

    def _parts(self, incident: Incident, known: Known, now: datetime, path: Path) -> dict[Part, Callable[[str], str]]:
        """What each part becomes, given the text that stands."""
        settings = self._settings
        period = Period(incident.began - BEFORE, min(now, (incident.ended or now) + SETTLE))
        tried = incident.rollback or last_tried(known.audit, period)
        trial = states_of_trial(tried, known.audit) if tried else []
        states = [*trial, *(state for state in known.audit if datetime.fromisoformat(state.time) in period)]
        runs, unread = self._runs(period, states)
        rows = change_rows(states) + alert_rows(known.heard, period) + notice_rows(settings, period) + runs
        notices = sum(notice.time in period for notice in read(settings.notices).notices)
        told = Told(notices, len(waiting(settings.slack_outbox)))
        evidence = self._evidence(incident, trial, path)
        return {
            "header": lambda _: header(incident, trial, told, settings),
            "timeline": lambda text: timeline(body_of(text, "timeline") or "", rows) + unread,
            "evidence": lambda text: evidence or body_of(text, "evidence") or "The evidence cannot be read.",
            "commands": lambda _: commands(incident, settings, period.start),
        }

    def _runs(self, period: Period, states: Sequence[RolloutState]) -> tuple[list[str], str]:
        """Rows of Dagster's runs, and what stands under the timeline where Dagster does not answer."""
        if self._dagster.due(time.monotonic()):
            try:
                rows = run_rows(self._settings, period, states)
            except (httpx.HTTPError, ValueError) as error:
                self._dagster.failed(time.monotonic())
                if not self._dagster_away:
                    _log.warning("Dagster's runs could not be read: %s", error)
                self._dagster_away = True
            else:
                self._dagster.worked()
                self._dagster_away = False
                return rows, ""
        return [], "\n\nDagster's runs could not be read: look there for them."

    def _evidence(self, incident: Incident, trial: Sequence[RolloutState], path: Path) -> str | None:
        """None where it is lost: what was written of it before stays."""
        folder = evidence_folder(self._settings.lake)
        try:
            documents = documents_of(trial, folder)
        except EvidenceDocumentError as error:
            _log.warning("incident %s: %s", incident.id, error)
            return None
        picture = self._picture(trial, documents, path) if trial else ""
        if incident.rollback is None:
            return alert_evidence(incident, trial, picture)
        return trial_evidence(incident.rollback, documents, folder, picture)

    def _picture(self, trial: Sequence[RolloutState], documents: Sequence[EvidenceDocument], path: Path) -> str:
        """The name of the plot beside the document; drawn anew only where there is more to show."""
        from orchestration.incidents.plot import trial_png

        picture, shown = path.with_suffix(".png"), (len(trial), len(documents))
        if self._drawn.get(picture) != shown or not picture.exists():
            drawn = trial_png(trial, documents[-1] if documents and rests_on_evidence(trial[-1]) else None)
            write_whole(picture, lambda draft: draft.write_bytes(drawn))
            self._drawn[picture] = shown
        return picture.name
