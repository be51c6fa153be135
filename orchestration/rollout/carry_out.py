"""From a verdict to the change that follows: decided on exactly the state that was judged, or nothing happens."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from orchestration.rollout.decide import Decision, GiveUp, GoOn, Judged, RollBack, Settle, Wait, decide
from orchestration.rollout.evidence_documents import evidence_document, keep
from orchestration.rollout.policy import Policy
from orchestration.rollout.trial import Trial
from serving_gateway.contracts.rollout import RolloutState, basis_points
from serving_gateway.control.steps import enter_step, settle
from serving_gateway.control.store import RolloutStore, StaleGenerationError
from serving_gateway.control.transitions import rolled_back

_MOVED_ON = Wait("the rollout has changed since it was judged: the next look decides")


@dataclass(frozen=True)
class Carried:
    """What was decided; `state` is the new one, and `evidence` names its document, None and empty where nothing changed."""

    decision: Decision
    state: RolloutState | None = None
    evidence: str = ""


def carry_out(
    store: RolloutStore, judged: Judged, policy: Policy, *, evidence: Path, actor: str, now: datetime
) -> Carried:
    """Decide, keep the evidence in the folder `evidence`, and only then change the rollout by compare-and-set.

    A rollout that is not at the judged state any more is left as it is. Raises OSError where the evidence cannot be kept:
    then nothing was changed.
    """
    state = store.read()
    if state is None or (state.position, Trial.of(state)) != (judged.position, judged.trial):
        return Carried(_MOVED_ON)
    decision = decide(state, judged.verdict, policy.rollout, judged.event_time)
    if isinstance(decision, Wait):
        return Carried(decision)
    name = keep(evidence, evidence_document(judged, decision, policy))
    new = following(state, decision, policy, judged.event_time, evidence=name, actor=actor, now=now)
    try:
        store.write(new, state)
    except StaleGenerationError:
        return Carried(_MOVED_ON)
    return Carried(decision, new, name)


def following(
    state: RolloutState,
    decision: Decision,
    policy: Policy,
    event_time: datetime,
    *,
    evidence: str,
    actor: str,
    now: datetime,
) -> RolloutState:
    """The state that a decision leads to. Raises ValueError for one that changes nothing."""
    match decision:
        case GoOn():
            step = policy.rollout.steps[decision.step]
            return enter_step(
                state,
                decision.step,
                weight_bp=basis_points(step.weight),
                shadow_fraction=step.shadow_fraction,
                event_time=event_time,
                evidence=evidence,
                actor=actor,
                reason=decision.reason,
                now=now,
            )
        case Settle():
            return settle(state, evidence=evidence, actor=actor, reason=decision.reason, now=now)
        case RollBack() | GiveUp():
            return rolled_back(state, actor=actor, reason=decision.reason, now=now, evidence=evidence)
    raise ValueError(f"{type(decision).__name__} changes nothing")
