"""The models of the backtest as arms of the rollout: their version is the day before which they learned everything."""

from datetime import date, datetime

from orchestration.rollout.policy import RolloutPolicy
from serving_gateway.contracts.rollout import Arm, RolloutState, basis_points
from serving_gateway.control.steps import begin_trial

ACTOR = "backtest"


def arm_of(learned: date) -> Arm:
    """The arm of a model."""
    return Arm(
        model="flight_delay", version=learned.isoformat(), triton_model=f"flight_delay-{learned}", contract_digest=""
    )


def learned_by(arm: Arm) -> date:
    """The model of an arm."""
    return date.fromisoformat(arm.version)


def begun(state: RolloutState, learned: date, policy: RolloutPolicy, now: datetime) -> RolloutState:
    """The state in which a challenger's trial begins, at the policy's first step."""
    step = policy.steps[0]
    return begin_trial(
        state,
        arm_of(learned),
        weight_bp=basis_points(step.weight),
        shadow_fraction=step.shadow_fraction,
        event_time=now,
        actor=ACTOR,
        reason="a challenger is published",
        now=now,
    )
