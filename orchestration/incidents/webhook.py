"""What Alertmanager sends: its webhook's JSON, version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
Severity = Literal["SEV1", "SEV2"]
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError)


class BadNotificationError(ValueError):
    """The body is no notification; the message says where it is not."""


class Alert(Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert of a group. `ends_at` counts once it is resolved; `fingerprint` is a hash of its labels."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: Instant
    ends_at: Instant
    fingerprint: Annotated[str, Meta(pattern="^[0-9A-Za-z]{1,64}$")]
    generator_url: str = msgspec.field(default="", name="generatorURL")

    def __post_init__(self) -> None:
        self.starts_at.astimezone(UTC)  # an instant that UTC does not have

    @property
    def name(self) -> str:
        """The rule that fired."""
        return self.labels.get("alertname", "unnamed alert")

    @property
    def severity(self) -> Severity | None:
        """None for an alert that makes no incident."""
        match self.labels.get("severity", "").upper():
            case "SEV1":
                return "SEV1"
            case "SEV2":
                return "SEV2"
        return None

    @property
    def summary(self) -> str:
        """What it says in a sentence."""
        return self.annotations.get("summary") or self.annotations.get("description") or self.name


class Notification(Struct, frozen=True, kw_only=True, rename="camel"):
    """The state of a group of alerts. `group_key` names the group; `truncated_alerts` are left out of `alerts`."""

    version: Literal["4"]
    group_key: Annotated[str, Meta(min_length=1)]
    status: Literal["firing", "resolved"]
    alerts: list[Alert]
    receiver: str = ""
    group_labels: dict[str, str] = {}
    external_url: str = msgspec.field(default="", name="externalURL")
    truncated_alerts: int = 0


def read_notification(body: bytes) -> Notification:
    """Raises BadNotificationError with the path of what is wrong."""
    try:
        return msgspec.json.decode(body, type=Notification)
    except _UNREADABLE as error:
        raise BadNotificationError(f"no notification of Alertmanager's webhook, version 4: {error}") from error
