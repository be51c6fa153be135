"""The rollout as Dagster sees it: every change of its state, whoever made it, and a notice where a gateway did."""

import logging
from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.due import or_skip, store
from orchestration.notices.notice import Notice
from orchestration.notices.send import send
from orchestration.notices.wording import gateway_trip, unreadable_change
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import BASIS_POINTS, RolloutState
from serving_gateway.control.store import UnreadableDocumentError

_log = logging.getLogger(__name__)
# A tick has a minute, and a notice may wait five seconds for Slack.
CHANGES_A_TICK = 10

rollout_state = dg.AssetSpec(
    "rollout_state",
    deps=["baseline_arm", "canary_arm"],
    group_name="rollout",
    kinds={"redis"},
    owners=OWNERS,
    tags={"loop": "rollout"},
    description="Which arms answer, with which share. Changed by Dagster, by people and by gateways, observed here.",
)


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every change of the rollout becomes an observation of rollout_state; a gateway's trip also a notice.",
)
@or_skip
def record_rollout_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Follows the audit stream; the cursor is the id of the last change that was recorded."""
    changes = store().changes_after(context.cursor or "0", CHANGES_A_TICK)
    if not changes:
        return dg.SkipReason("the rollout has not changed")
    settings = Settings.load()
    link = f"{settings.gateway_url}/rollout"
    events = []
    for _, change in changes:
        if isinstance(change, UnreadableDocumentError):
            _tell(unreadable_change(str(change), link, datetime.now(UTC)), settings)
            continue
        if made_by_gateway(change):
            _tell(gateway_trip(change, link), settings)
        events.append(_observed(change, link))
    return dg.SensorResult(asset_events=events, cursor=changes[-1][0])


def _tell(notice: Notice, settings: Settings) -> None:
    """Send it once: a tick that failed would post to Slack every few seconds, for as long as the disk refuses."""
    try:
        send(notice, settings)
    except OSError as error:
        if not settings.slack_webhook_url:
            raise
        _log.error("the notice %r is posted but not kept: %s", notice.title, error)


def made_by_gateway(state: RolloutState) -> bool:
    """Whether a gateway's reflex wrote this change: gateways sign as `gateway:<id>`, also what they bring back."""
    return state.phase == "rolled_back" and state.actor.startswith("gateway:") and state.restores is None


def _observed(state: RolloutState, link: str) -> dg.AssetObservation:
    canary = state.arms.canary
    return dg.AssetObservation(
        rollout_state.key,
        description=state.reason,
        metadata={
            "phase": state.phase,
            "baseline": state.arms.baseline.triton_model,
            "canary": canary.triton_model if canary else "none",
            "canary weight": state.canary_weight_bp / BASIS_POINTS,
            "shadow fraction": state.shadow_fraction,
            "actor": state.actor,
            "reason": state.reason,
            "epoch": state.epoch,
            "generation": state.generation,
            "changed at": state.time,
            "as served": dg.MetadataValue.url(link),
        },
    )
