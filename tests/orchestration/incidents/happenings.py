"""Alerts as Alertmanager sends them, and rollbacks as the audit stream has them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from orchestration.incidents.entries import Heard, RolledBack
from orchestration.incidents.webhook import Notification, read_notification
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState, TrialMark
from serving_gateway.control.transitions import rolled_back, set_weight

NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
NEVER = "0001-01-01T00:00:00Z"


def alert(
    name: str = "InferenceOutage",
    severity: str = "sev1",
    *,
    ended: datetime | None = None,
    since: datetime = NOW,
    fingerprint: str = "1a30ba71cca2921f",
    **labels: str,
) -> dict[str, Any]:
    """One alert."""
    return {
        "status": "resolved" if ended else "firing",
        "labels": {"alertname": name, "severity": severity, "service": "gateway", **labels},
        "annotations": {
            "summary": "Predictions fail",
            "description": "No answer for 10 minutes",
            "runbook_url": "http://127.0.0.1/runbook#31-gateway",
        },
        "startsAt": since.isoformat(),
        "endsAt": ended.isoformat() if ended else NEVER,
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": fingerprint,
    }


def body(*alerts: dict[str, Any], group: str = "gateway", **changes: Any) -> bytes:
    """The body of a notification."""
    firing = any(one["status"] == "firing" for one in alerts)
    document = {
        "receiver": "incidents",
        "status": "firing" if firing else "resolved",
        "alerts": list(alerts),
        "groupLabels": {"service": group},
        "commonLabels": {"service": group},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "version": "4",
        "groupKey": f'{{}}:{{service="{group}"}}',
        "truncatedAlerts": 0,
    }
    return json.dumps(document | changes).encode()


def notification(*alerts: dict[str, Any], **changes: Any) -> Notification:
    """The same, read."""
    return read_notification(body(*alerts, **changes))


def heard(*alerts: dict[str, Any], at: datetime = NOW, **changes: Any) -> Heard:
    """A line of the journal."""
    return Heard(at=at, notification=notification(*alerts, **changes))


def arm(version: int) -> Arm:
    """An arm of the model."""
    return Arm(model="delay", version=str(version), triton_model=f"delay_v{version}", contract_digest=f"d{version}")


def trial(*, began: datetime = NOW - timedelta(hours=2), generation: int = 7, evidence: str = "") -> list[RolloutState]:
    """A canary's trial from its start through a raise of its share to its rollback at NOW, an hour a step."""
    start = RolloutState(
        epoch=1, generation=generation, phase="canary", arms=Arms(baseline=arm(1), canary=arm(2), shadow=arm(2)),
        canary_weight_bp=500, shadow_fraction=1.0, reason="try delay_v2", actor="dagster:begin", time=began.isoformat(),
        trial=TrialMark(epoch=1, generation=generation, step=0, began="2013-05-01T00:00:00+00:00"),
    )  # fmt: skip
    raised = set_weight(start, 2000, actor="cli:ann", reason="looks fine", now=began + timedelta(hours=1))
    end = rolled_back(
        raised,
        actor="dagster:hook:roll_back_at_once:0f8fad5b-d9cb-469f-a165-70867728950e",
        reason="of 900 rows that both arms were asked for, 40 more failed | <b>",
        now=began + timedelta(hours=2),
        evidence=evidence,
    )
    return [start, raised, end]


def rollback(state: RolloutState | None = None, entry: str = "1-0") -> RolledBack:
    """A line of the journal."""
    return RolledBack(entry=entry, state=state or trial()[-1])


def moved(state: RolloutState, **changes: Any) -> RolloutState:
    """Another state."""
    return msgspec.structs.replace(state, **changes)
