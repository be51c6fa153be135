"""Issues in Jira: one an incident, and a comment when it is over. What is still to be told follows from the journal."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.incidents.entries import Asked, Commented, Entry, Opened, Refused
from orchestration.incidents.incident import Incident
from orchestration.incidents.jira import Jira, JiraError
from orchestration.incidents.policy import JIRA_INDEX, RETRY_S, ROUND_S
from orchestration.retries import Backoff

_log = logging.getLogger(__name__)
# Jira's own bound of a summary.
_SUMMARY = 255
# Alerts that an issue names; a field of Jira holds 32,767 characters.
_NAMED, _TEXT = 20, 1000


def waits(incident: Incident) -> bool:
    """Whether Jira has still to be told of it."""
    if incident.no_jira or incident.refused:
        return False
    return not incident.issue or (incident.ended is not None and not incident.commented)


class Issues:
    """Tells Jira what waits, in order, for as long as it answers."""

    def __init__(self, jira: Jira, record: Callable[[Entry], None], index: timedelta = JIRA_INDEX) -> None:
        """`record` keeps a line of the journal. `index`: how long Jira's search may not know what was opened."""
        self._jira = jira
        self._record = record
        self._index = index
        self._backoff = Backoff(*RETRY_S)
        self.problem = ""

    def tell(self, incidents: list[Incident], document: Callable[[Incident], str], now_s: float) -> None:
        """Open and comment what `waits`; `document` names an incident's document, `now_s` is a monotonic clock.

        An outage is waited out, a refusal put aside; what a slow Jira leaves is for the next call. Raises OSError where the
        journal cannot be written.
        """
        if not self._backoff.due(now_s):
            return
        began_s = time.monotonic()
        for incident in filter(waits, incidents):
            if time.monotonic() - began_s > ROUND_S:
                return
            try:
                self._tell(incident, document(incident))
            except JiraError as error:
                if error.again:
                    self._backoff.failed(now_s, error.again_in_s)
                    if not self.problem:
                        _log.warning("what Jira has to be told waits: %s", error)
                    self.problem = str(error)
                    return
                _log.error("Jira refuses incident %s; mend it and start the receiver anew: %s", incident.id, error)
                self._record(Refused(incident=incident.id, reason=str(error)))
            else:
                self._backoff.worked()
                self.problem = ""

    def _tell(self, incident: Incident, document: str) -> None:
        if incident.issue:
            self._jira.comment(incident.issue, over(incident))
            self._record(Commented(incident=incident.id))
            return
        now = datetime.now(UTC)
        if incident.asked is not None and now < incident.asked + self._index:
            return  # the last request may have opened it, and the search may not know yet
        issue = self._jira.find(incident.id)
        with_end = incident.ended is not None
        if issue:
            with_end = False  # what it says is not known
        else:
            self._record(Asked(incident=incident.id, at=now))
            issue = self._jira.open(summary(incident), description(incident, document), labels(incident))
        self._record(Opened(incident=incident.id, issue=issue, with_end=with_end))
        _log.info("incident %s is issue %s", incident.id, issue)


def summary(incident: Incident) -> str:
    """One line."""
    line = " ".join(f"{incident.severity} {incident.title}".split())
    return line if len(line) <= _SUMMARY else f"{line[: _SUMMARY - 4]} ..."


def labels(incident: Incident) -> list[str]:
    """The incident's id, by which it is found again, and the fingerprints of its alerts."""
    prints = [f"fingerprint-{alert.fingerprint}" for alert in incident.alerts[:_NAMED]]
    return ["drift-platform", incident.severity.lower(), incident.id, *dict.fromkeys(prints)]


def description(incident: Incident, document: str) -> dict[str, Any]:
    """In Jira's document format (ADF)."""
    named, more = incident.alerts[:_NAMED], len(incident.alerts) - _NAMED
    said = [incident.title, *(f"{alert.name}: {alert.summary}" for alert in named)]
    said += [f"and {more} more alerts"] if more > 0 else []
    ended = f", ended {_instant(incident.ended)}" if incident.ended else ", it goes on"
    said.append(f"Began {_instant(incident.began)}, noticed {_instant(incident.noticed)}{ended} (UTC).")
    if incident.rollback is not None:
        said.append(f"Why: {incident.rollback.reason}")
    said.append(f"The incident document: {document}")
    links = dict.fromkeys(alert.annotations.get("runbook_url", "") for alert in named)
    return _adf([_paragraph(line) for line in said] + [_link(link) for link in links if link])


def over(incident: Incident) -> dict[str, Any]:
    """The comment of its end. It is the same whenever it is made, so that it is found again."""
    assert incident.ended is not None
    return _adf([_paragraph(f"{incident.id} ended {_instant(incident.ended)} (UTC). Its document tells how.")])


def _adf(content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": content}


def _paragraph(text: str) -> dict[str, Any]:
    line = " ".join(text.split())  # a text of ADF has no ends of lines
    shown = line if len(line) <= _TEXT else f"{line[:_TEXT]} ..."
    return {"type": "paragraph", "content": [{"type": "text", "text": shown or "-"}]}


def _link(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        return _paragraph(f"Runbook: {url}")
    text = {"type": "text", "text": url, "marks": [{"type": "link", "attrs": {"href": url}}]}
    return {"type": "paragraph", "content": [text]}


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
