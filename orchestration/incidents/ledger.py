"""From the journal's lines to incidents: a fold, in which order alone counts."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC

from orchestration.incidents.entries import (
    Asked,
    Commented,
    Documented,
    Entry,
    Following,
    Heard,
    NoJira,
    Opened,
    Refused,
    RolledBack,
    Started,
)
from orchestration.incidents.incident import Incident, short, slug, stamp, trial_of
from orchestration.incidents.webhook import Alert, Notification, Severity


class Ledger:
    """What follows from the lines so far."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.incidents: dict[str, Incident] = {}
        self.heard: list[Heard] = []
        self.audited: set[str] = set()
        self.following = False
        self._last: dict[str, Notification] = {}
        self._firing: dict[str, str] = {}  # group -> incident
        self._trials: dict[tuple[int, int, str], str] = {}
        for entry in entries:
            self.add(entry)

    def repeated(self, notification: Notification) -> bool:
        """Whether the group's last notification said the same: Alertmanager repeats itself while alerts fire."""
        last = self._last.get(notification.group_key)
        return last is not None and (last.status, last.alerts) == (notification.status, notification.alerts)

    def incident_of(self, notification: Notification) -> str:
        """Id of the incident under way of this group, or of any of its alerts; empty where there is none.

        Another configuration of Alertmanager groups the same alerts under other names.
        """
        if found := self._firing.get(notification.group_key):
            return found
        prints = {alert.fingerprint for alert in notification.alerts}
        under_way = (self.incidents[name] for name in self._firing.values())
        return next((one.id for one in under_way if prints & {alert.fingerprint for alert in one.alerts}), "")

    def add(self, entry: Entry) -> None:
        """One more line. A line of an incident that is not known is passed over: the one that began it was torn."""
        match entry:
            case Heard():
                self._hear(entry)
            case RolledBack():
                self._roll_back(entry)
            case Following():
                self.following = True
            case Started():
                self.incidents = {name: replace(one, refused="") for name, one in self.incidents.items()}
            case _ if entry.incident in self.incidents:
                self.incidents[entry.incident] = _done(self.incidents[entry.incident], entry)

    def _hear(self, entry: Heard) -> None:
        told = entry.notification
        self.heard.append(entry)
        self._last[told.group_key] = told
        grave = {alert.fingerprint: alert for alert in told.alerts if alert.severity}
        firing = [alert for alert in grave.values() if alert.status == "firing"]
        known = self.incidents.get(self.incident_of(told))
        if known is None:
            if firing:
                self._begin(entry, firing)
            return
        alerts = tuple(({alert.fingerprint: alert for alert in known.alerts} | grave).values())
        over = told.status == "resolved" or not (firing or told.truncated_alerts)
        ends = [alert.ends_at.astimezone(UTC) for alert in grave.values() if alert.status == "resolved"]
        self.incidents[known.id] = replace(
            known,
            severity=min(known.severity, _worst(alerts)),
            alerts=alerts,
            ended=max(ends, default=entry.at) if over else None,
            signs=known.signs + 1,
        )
        self._firing = {group: name for group, name in self._firing.items() if name != known.id}
        if not over:
            self._firing[told.group_key] = known.id

    def _begin(self, entry: Heard, firing: list[Alert]) -> None:
        told = entry.notification
        began = min(alert.starts_at for alert in firing).astimezone(UTC)
        name = f"alert-{short(told.group_key)}-{stamp(began)}"
        self._firing[told.group_key] = name
        if (known := self.incidents.get(name)) is not None:  # told as over, and it was not
            alerts = tuple(firing)
            again = replace(known, ended=None, alerts=alerts, signs=known.signs + 1, commented=False)
            self.incidents[name] = again
            return
        self.incidents[name] = Incident(
            id=name,
            severity=_worst(tuple(firing)),
            title=f"{firing[0].name}: {firing[0].summary}",
            name=slug(firing[0].name),
            began=began,
            noticed=entry.at,
            alerts=tuple(firing),
            receiver=told.receiver,
        )

    def _roll_back(self, entry: RolledBack) -> None:
        self.audited.add(entry.entry)
        state, trial = entry.state, trial_of(entry.state)
        model = state.arms.canary.triton_model if state.arms.canary else "model"
        key = (*trial, model)
        if (known := self.incidents.get(self._trials.get(key, ""))) is not None:
            self.incidents[known.id] = replace(known, signs=known.signs + 1)
            return
        at = entry.at.astimezone(UTC)
        name = "rollback-{}-{}-{}".format(*trial, stamp(at))
        self._trials[key] = name
        self.incidents[name] = Incident(
            id=name,
            severity="SEV2",
            title=f"{model} was rolled back",
            name=f"rollback-{slug(model)}",
            began=at,
            noticed=at,
            ended=at,
            rollback=state,
        )


def _done(incident: Incident, entry: Documented | Asked | Opened | Commented | Refused | NoJira) -> Incident:
    match entry:
        case Documented():
            return replace(incident, documented=entry.signs)
        case Asked():
            return replace(incident, asked=entry.at)
        case Opened():
            told = replace(incident, issue=entry.issue, commented=entry.with_end, asked=None)
            return replace(told, signs=incident.signs + 1)  # the document says who was told
        case Commented():
            return replace(incident, commented=True)
        case Refused():
            return replace(incident, refused=entry.reason, signs=incident.signs + 1)
        case NoJira():
            return replace(incident, no_jira=True)


def _worst(alerts: tuple[Alert, ...]) -> Severity:
    return min(alert.severity for alert in alerts if alert.severity)
