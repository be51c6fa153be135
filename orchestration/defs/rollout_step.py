"""The trial under way goes on by its steps: the verdict of the same run is decided on, and the change is made."""

from datetime import UTC, datetime

import dagster as dg

from orchestration.defs.common import OWNERS
from orchestration.defs.due import store
from orchestration.defs.rollout import canary_verdict, policy
from orchestration.defs.serving import reviewed
from orchestration.defs.verdicts import judged_in
from orchestration.rollout.act import CONVERGENCE_TIMEOUT_S
from orchestration.rollout.carry_out import Carried, carry_out
from orchestration.rollout.decide import Wait
from orchestration.rollout.evidence_documents import evidence_folder
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


@dg.asset(deps=[canary_verdict], group_name="rollout", kinds={"redis"}, tags={"loop": "rollout"}, owners=OWNERS)
def rollout_step(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What follows from the verdict of this run: wait, go on to the next step, settle, or roll back.

    What a change rests on is a document in lake/rollout/evidence/, written before the rollout is changed. A rollout that
    moved on since it was judged is left alone.
    """
    settings = Settings.load()
    judged = judged_in(context.instance, context.run.run_id)
    carried = Carried(Wait("this run has judged no trial"))
    if judged is not None:
        carried = carry_out(
            store(),
            judged,
            policy(),
            evidence=evidence_folder(settings.lake),
            actor=f"dagster:{context.run.run_id}",
            now=datetime.now(UTC),
        )
    metadata: dict[str, dg.MetadataValue] = {
        "decision": dg.MetadataValue.text(type(carried.decision).__name__),
        "reason": dg.MetadataValue.text(carried.decision.reason),
    }
    if carried.state is not None:
        path = evidence_folder(settings.lake) / carried.evidence
        metadata |= {
            "evidence": dg.MetadataValue.path(str(path)),
            "epoch and generation": dg.MetadataValue.text("{}:{}".format(*carried.state.position)),
            "phase": dg.MetadataValue.text(carried.state.phase),
            "served by": dg.MetadataValue.text(_served_by(store(), carried)),
            **reviewed(store(), settings, context.log),
        }
    return dg.MaterializeResult(metadata=metadata)


def _served_by(rollout: RolloutStore, carried: Carried) -> str:
    """The change stands whoever serves it yet: a gateway that lags is said, and fails nothing."""
    assert carried.state is not None
    try:
        served = rollout.wait_until_served(carried.state, timeout_s=CONVERGENCE_TIMEOUT_S)
    except TimeoutError as error:
        return str(error)
    return ", ".join(said.gateway for said in served) or "none is alive; whichever starts will serve this state"
