"""The rollout as Dagster and MLflow see it: every change of its state, whoever made it, and a notice where a gateway did."""

import logging
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.due import or_skip, store
from orchestration.notices.notice import Notice
from orchestration.notices.send import send
from orchestration.notices.wording import gateway_trip, unreadable_change
from orchestration.rollout.evidence_documents import EvidenceDocumentError, evidence_folder, read_document
from orchestration.rollout.mirror import mirror
from orchestration.rollout.shadow_runs import ShadowReviewError
from orchestration.settings import Settings
from orchestration.timetable import NotDueError
from serving_gateway.contracts.rollout import BASIS_POINTS, RolloutState
from serving_gateway.control.store import UnreadableDocumentError

_log = logging.getLogger(__name__)
# A tick has a minute, and a notice may wait five seconds for Slack.
CHANGES_A_TICK = 10
ENTRY = "audit entry"

rollout_state = dg.AssetSpec(
    "rollout_state",
    deps=["baseline_arm", "canary_arm", "rollout_step"],
    group_name="rollout",
    kinds={"redis"},
    owners=OWNERS,
    tags={"loop": "rollout"},
    description="Which arms answer, with which share. Changed by Dagster, by people and by gateways; each change is "
    "materialized here with the evidence that it rests on.",
)


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every change of the rollout becomes a materialization of rollout_state; a gateway's trip also a notice.",
)
@or_skip
def record_rollout_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Follows the audit stream; the cursor is the id of the last change that was recorded.

    A daemon that dies between recording and moving the cursor records nothing twice: the last materialization names its
    change too.
    """
    # Dagster's storage is opened for a tick that needs it: that costs more than the rest of a tick.
    new = store().changes_after(context.cursor or "0", 1)
    changes = store().changes_after(_recorded(context), CHANGES_A_TICK) if new else []
    if not changes:
        return dg.SkipReason("the rollout has not changed")
    settings = Settings.load()
    link = f"{settings.gateway_url}/rollout"
    events = []
    for entry, change in changes:
        if isinstance(change, UnreadableDocumentError):
            _tell(unreadable_change(str(change), link, datetime.now(UTC)), settings)
            continue
        if made_by_gateway(change):
            _tell(gateway_trip(change, link), settings)
        events.append(_materialized(entry, change, settings))
    return dg.SensorResult(asset_events=events, cursor=changes[-1][0])


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="MLflow follows the rollout: `rollout_phase` and `shadow` on the models' runs, `champion` on what settled.",
)
@or_skip
def mirror_rollout_in_mlflow(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Follows the audit stream too, at a pace of its own: an MLflow that is away keeps no change from being recorded."""
    changes = store().changes_after(context.cursor or "0", CHANGES_A_TICK)
    if not changes:
        raise NotDueError("the rollout has not changed")
    try:
        mirror(store(), Settings.load().mlflow_url, [c for _, c in changes if isinstance(c, RolloutState)])
    except (ShadowReviewError, UnreadableDocumentError) as error:
        raise NotDueError(f"the next tick tries again: {error}") from error
    return dg.SensorResult(cursor=changes[-1][0])


def _recorded(context: dg.SensorEvaluationContext) -> str:
    """Id of the last change that was recorded, by the cursor or by the last materialization, whichever is later."""
    event = context.instance.get_latest_materialization_event(rollout_state.key)
    made = event.asset_materialization if event else None
    named = str(made.metadata[ENTRY].value) if made and ENTRY in made.metadata else "0"
    return max(context.cursor or "0", named, key=_order)


def _order(entry: str) -> tuple[int, int]:
    """Place of a stream id, `<milliseconds>-<number>`."""
    at, _, number = entry.partition("-")
    return int(at), int(number or 0)


def _tell(notice: Notice, settings: Settings) -> None:
    """Send it once: a tick that failed would post to Slack every few seconds, for as long as the disk refuses."""
    try:
        send(notice, settings)
    except OSError as error:
        if not settings.posts_to_slack:
            raise
        _log.error("the notice %r is posted but not kept: %s", notice.title, error)


def made_by_gateway(state: RolloutState) -> bool:
    """Whether a gateway's reflex wrote this change: gateways sign as `gateway:<id>`, also what they bring back."""
    return state.phase == "rolled_back" and state.actor.startswith("gateway:") and state.restores is None


def _materialized(entry: str, state: RolloutState, settings: Settings) -> dg.AssetMaterialization:
    canary, trial = state.arms.canary, state.trial
    led: dict[str, Any] = {}
    if trial is not None and trial.step is not None:
        led = {"step": trial.step, "held": trial.held or "no", "approved": trial.approved or "no"}
    return dg.AssetMaterialization(
        rollout_state.key,
        description=state.reason,
        metadata={
            "phase": state.phase,
            "baseline": state.arms.baseline.triton_model,
            "canary": canary.triton_model if canary else "none",
            "canary weight": state.canary_weight_bp / BASIS_POINTS,
            "shadow fraction": state.shadow_fraction,
            **led,
            "actor": state.actor,
            "reason": state.reason,
            "epoch": state.epoch,
            "generation": state.generation,
            "changed at": state.time,
            ENTRY: entry,
            **(_evidence(trial.evidence, settings) if trial and trial.evidence else {}),
            "as served": dg.MetadataValue.url(f"{settings.gateway_url}/rollout"),
        },
    )


def _evidence(name: str, settings: Settings) -> dict[str, Any]:
    """The document that a change rests on, and its figures. A document that is lost hides no change."""
    folder = evidence_folder(settings.lake)
    try:
        document = read_document(folder, name)
    except EvidenceDocumentError as error:
        return {"evidence": str(error)}
    rows = [f"| {c.name} | {c.outcome} | {c.rows} | {c.reason} |" for c in document.criteria]
    return {
        "evidence": dg.MetadataValue.path(str(folder / name)),
        "verdict": f"{document.outcome}: {document.reason}",
        "tests": dg.MetadataValue.md("\n".join(["| test | outcome | rows | reason |", "|---|---|---|---|", *rows])),
        "decision": document.decision.kind,
        "event time": document.event_time,
    }
