"""Taking a canary's traffic away, and knowing when every gateway has done so."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import rolled_back

CONVERGENCE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class RollbackDone:
    """`changed` is False when another canary, or none, was serving. `seconds`: from the decision to the last gateway."""

    state: RolloutState
    changed: bool
    gateways: list[str]
    seconds: float


def roll_back(store: RolloutStore, *, canary: str, reason: str, actor: str) -> RollbackDone:
    """Set the weight of the canary served as Triton model `canary` to 0 and wait until every live gateway serves that.

    A rollout that meanwhile moved on to another canary, or already took this one's traffic, is left as it is.
    Raises TimeoutError naming gateways that lag, NoRolloutError when nothing is served.
    """
    began = time.monotonic()
    changed = False

    def transition(state: RolloutState) -> RolloutState | None:
        nonlocal changed
        serving = state.arms.canary is not None and state.arms.canary.triton_model == canary
        active = state.canary_weight_bp > 0 or state.shadow_fraction > 0
        changed = serving and active
        return rolled_back(state, actor=actor, reason=reason, now=datetime.now(UTC)) if changed else None

    state = store.change(transition)
    served = store.wait_until_served(state, timeout_s=CONVERGENCE_TIMEOUT_S)
    return RollbackDone(state, changed, [ack.gateway for ack in served], time.monotonic() - began)
