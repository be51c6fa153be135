"""The lines of the receiver's journal: what it heard, and what it did about it.

The journal is all that the receiver knows. What still has to be written or told follows from it (ledger.py), so that a
receiver that was killed goes on where it was.
"""

from datetime import datetime

from msgspec import Struct

from orchestration.incidents.webhook import Instant, Notification
from serving_gateway.contracts.rollout import RolloutState


class Heard(Struct, frozen=True, kw_only=True, tag="alerts", tag_field="kind"):
    """A notification of Alertmanager, and when it came (UTC)."""

    at: Instant
    notification: Notification


class RolledBack(Struct, frozen=True, kw_only=True, tag="rollback", tag_field="kind"):
    """A rollback in the audit stream, under the id of its entry."""

    entry: str
    state: RolloutState

    @property
    def at(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.state.time)


class Documented(Struct, frozen=True, kw_only=True, tag="documented", tag_field="kind"):
    """The document of an incident holds its first `signs` signs."""

    incident: str
    signs: int


class Asked(Struct, frozen=True, kw_only=True, tag="asked", tag_field="kind"):
    """Jira is about to be asked for an issue. Where nothing follows it is not known whether it was opened."""

    incident: str
    at: Instant


class Opened(Struct, frozen=True, kw_only=True, tag="opened", tag_field="kind"):
    """Its issue in Jira; `with_end`: the issue says already that the incident is over."""

    incident: str
    issue: str
    with_end: bool


class Commented(Struct, frozen=True, kw_only=True, tag="commented", tag_field="kind"):
    """The issue says that the incident is over."""

    incident: str


class Refused(Struct, frozen=True, kw_only=True, tag="refused", tag_field="kind"):
    """Jira would refuse the same again: it is left alone until the receiver is started anew."""

    incident: str
    reason: str


class NoJira(Struct, frozen=True, kw_only=True, tag="no_jira", tag_field="kind"):
    """No Jira was set up when the incident was heard of: it gets no issue later either."""

    incident: str


class Started(Struct, frozen=True, kw_only=True, tag="started", tag_field="kind"):
    """The receiver was started; what had been refused is tried once more."""

    at: Instant


class Following(Struct, frozen=True, kw_only=True, tag="following", tag_field="kind"):
    """The audit stream has been followed to its end for the first time: what comes from now on is news."""

    at: Instant


Entry = Heard | RolledBack | Documented | Asked | Opened | Commented | Refused | NoJira | Started | Following
