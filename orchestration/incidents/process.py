"""The receiver as a process: hear, write documents, tell Jira and Slack; every absence of a neighbour is outlived."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import redis

from orchestration.incidents.audit import Audit
from orchestration.incidents.entries import Documented, Following, Heard, NoJira, RolledBack, Started
from orchestration.incidents.incident import Incident
from orchestration.incidents.issues import Issues, waits
from orchestration.incidents.metrics import Metrics
from orchestration.incidents.policy import HUNG_S, LOCAL_RETRY_S, POLL_S, REFRESH_S, RETRY_S, ROUND_S, SETTLE
from orchestration.incidents.records import Records
from orchestration.incidents.webhook import Notification
from orchestration.incidents.writer import Known, Writer
from orchestration.notices.send import deliver
from orchestration.retries import Backoff
from orchestration.settings import Settings

_log = logging.getLogger(__name__)


class ReceiverRunsError(RuntimeError):
    """Another receiver runs on this home: two would write the same documents."""


@contextmanager
def only_one(journal: Path) -> Iterator[None]:
    """Raises ReceiverRunsError, or OSError where the folder cannot be used."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(journal.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReceiverRunsError(f"another receiver writes {journal}: stop it first, or set PLATFORM_HOME") from None
        yield
    finally:
        os.close(held)


class Process:
    """Everything but HTTP; `hear` is called by its threads, the rest by `run` alone."""

    def __init__(self, settings: Settings, audit: Audit, writer: Writer, metrics: Metrics) -> None:
        """`issues` is for who sets Jira up. Raises OSError where the journal cannot be used."""
        self._settings = settings
        self._audit = audit
        self._writer = writer
        self._metrics = metrics
        self.issues: Issues | None = None
        self.records = Records(settings.incident_journal)
        self._woken = threading.Event()
        self._alive_at = time.monotonic()
        self._looked_at = 0  # changes of the audit
        self._refreshed_at = float("-inf")
        self._slack = Backoff(*RETRY_S)
        self._problems: dict[str, str] = {}
        self._steps = {
            "audit": self._follow,
            "documents": self._write,
            "jira": self._tell_jira,
            "slack": self._tell_slack,
        }
        self._backoff = {what: Backoff(*LOCAL_RETRY_S) for what in self._steps}

    def hear(self, notification: Notification) -> dict[str, object]:
        """Keep a notification; it is acted on soon after. Raises OSError where it cannot be kept."""
        said, incident = self.records.hear(Heard(at=datetime.now(UTC), notification=notification))
        self._metrics.notifications.labels("kept" if said else "repeated").inc()
        self._woken.set()
        return {"kept": said, "incident": incident}

    def health(self) -> tuple[bool, dict[str, object]]:
        """Whether it works (a neighbour that is away is no fault of its own), what is wrong, and how many incidents are open."""
        works = time.monotonic() - self._alive_at < HUNG_S
        under_way = sum(incident.ended is None for incident in self.records.incidents())
        return works, {"problems": self._problems, "open": under_way}

    def run(self, stop: threading.Event) -> None:
        """Cycle until `stop` is set; what is under way is finished."""
        self.records.add(Started(at=datetime.now(UTC)))
        while not stop.is_set():
            self._alive_at = time.monotonic()
            self.cycle()
            self._woken.wait(POLL_S)
            self._woken.clear()

    def cycle(self) -> None:
        """One look at everything."""
        for what, step in self._steps.items():
            if self._backoff[what].due(time.monotonic()):
                self._take(what, step)
        self._count()

    def _take(self, what: str, step: Callable[[], str]) -> None:
        try:
            problem = step()
        except (OSError, redis.RedisError) as error:
            problem = str(error) or type(error).__name__
            self._backoff[what].failed(time.monotonic())
        else:
            self._backoff[what].worked()
        if problem and what not in self._problems:
            _log.warning("%s: %s", what, problem)
        others = {name: said for name, said in self._problems.items() if name != what}
        self._problems = others | ({what: problem} if problem else {})

    def _follow(self) -> str:
        self._metrics.store_up.set(0)
        self._audit.follow()
        for entry, state in self._audit.changes[self._looked_at :]:
            if state.phase == "rolled_back" and not self.records.audited(entry):
                self.records.add(RolledBack(entry=entry, state=state))
            self._looked_at += 1
        if not self.records.following:
            self._leave_the_past()
            self.records.add(Following(at=datetime.now(UTC)))
        self._metrics.store_up.set(1)
        return ""

    def _leave_the_past(self) -> None:
        """What was over before the platform had a receiver is written down, and no news for Jira."""
        for incident in self.records.incidents():
            over = incident.ended is not None and incident.ended < datetime.now(UTC) - SETTLE
            if incident.rollback is not None and over and not incident.no_jira:
                self.records.add(NoJira(incident=incident.id))

    def _write(self) -> str:
        self._settings.incidents.mkdir(parents=True, exist_ok=True)
        incidents, now = self.records.incidents(), datetime.now(UTC)
        new = [incident for incident in incidents if incident.documented < incident.signs]
        refresh = time.monotonic() - self._refreshed_at >= REFRESH_S
        settling = [i for i in incidents if i not in new and refresh and (i.ended is None or now < i.ended + SETTLE)]
        if not new and not settling:
            return ""
        known = Known(self._audit.states, self.records.heard())
        if refresh:
            self._refreshed_at = time.monotonic()
        failed = []
        for incident in [*new, *settling]:
            self._alive_at = time.monotonic()  # the first start may have a long past to write
            try:
                self._bring_up_to_date(incident, known, now)
            except OSError as error:  # one file that cannot be written keeps no other waiting
                failed.append(f"{incident.id}: {error}")
        if failed:
            raise OSError("; ".join(failed))
        return ""

    def _bring_up_to_date(self, incident: Incident, known: Known, now: datetime) -> None:
        if incident.documented < incident.signs:
            self._writer.write(incident, known, now)
            self.records.add(Documented(incident=incident.id, signs=incident.signs))
        else:
            self._writer.refresh(incident, known, now)

    def _tell_jira(self) -> str:
        following = self.records.following
        incidents = [incident for incident in self.records.incidents() if following or incident.rollback is None]
        if self.issues is None:
            for incident in incidents:
                if not incident.issue and not incident.no_jira:
                    self.records.add(NoJira(incident=incident.id))
            return ""
        # An issue names its document, unless that cannot be written.
        written = [incident for incident in incidents if incident.documented or "documents" in self._problems]
        self.issues.tell(written, self._document, time.monotonic())
        refused = [incident for incident in self.records.incidents() if incident.refused]
        if self.issues.problem or not refused:
            return self.issues.problem
        return f"{len(refused)} incidents are refused, mend it and start the receiver anew: {refused[-1].refused}"

    def _tell_slack(self) -> str:
        now_s = time.monotonic()
        if not self._slack.due(now_s):
            return self._problems.get("slack", "")
        found = deliver(self._settings, for_s=ROUND_S)
        self._metrics.slack.set(found.waiting)
        if found.problem:
            self._slack.failed(now_s, found.again_in_s)
            return f"{found.waiting} notices wait: {found.problem}"
        self._slack.worked()
        return ""

    def _document(self, incident: Incident) -> str:
        return str(self._writer.where(incident) or self._settings.incidents)

    def _count(self) -> None:
        incidents = self.records.incidents()
        for severity in ("SEV1", "SEV2"):
            count = sum(i.ended is None and i.severity == severity for i in incidents)
            self._metrics.open.labels(severity).set(count)
        self._metrics.documents.set(sum(i.documented < i.signs for i in incidents))
        self._metrics.jira.set(sum(waits(i) for i in incidents))
        self._metrics.refused.set(sum(bool(i.refused) for i in incidents))
