"""The rollout as Dagster sees it: every change of its state, whoever made it, and a notice where a gateway did."""

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.due import or_skip, store
from orchestration.notices.send import send
from orchestration.notices.wording import gateway_trip
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import BASIS_POINTS, RolloutState

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
    for _, state in changes:
        if made_by_gateway(state):
            send(gateway_trip(state, link), settings)
    return dg.SensorResult(asset_events=[_observed(state, link) for _, state in changes], cursor=changes[-1][0])


def made_by_gateway(state: RolloutState) -> bool:
    """Whether a gateway's reflex wrote this change: gateways sign as `gateway:<id>`."""
    return state.phase == "rolled_back" and state.actor.startswith("gateway:")


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
