"""Which arm a request goes to when its caller names one, past the split."""

from typing import Literal

from serving_gateway.control.transitions import on_trial
from serving_gateway.http import ApiError
from serving_gateway.rollout.served import Served

ROUTING_HEADER = "x-routing-key"
ARM_HEADER = "x-model-arm"

ForcedArm = Literal["baseline", "canary"]


def forced_arm(served: Served, header: str | None) -> ForcedArm | None:
    """The arm that the caller names; None where the split decides.

    A forced canary needs no share: it may be looked at before it gets one. Raises ApiError 400 for another name, 409 where
    the canary gets no traffic here.
    """
    if header is None:
        return None
    if header == "baseline":
        return "baseline"
    if header != "canary":
        raise ApiError(
            400, f"must be baseline or canary, got {header[:40]!r}: the shadow never answers", path=ARM_HEADER
        )
    why = _without_canary(served)
    if why:
        raise ApiError(409, why, path=ARM_HEADER)
    return "canary"


def _without_canary(served: Served) -> str:
    state = served.state
    if state.arms.canary is None:
        return "no canary is named"
    name = state.arms.canary.triton_model
    if not on_trial(state):
        return f"{name} was rolled back by {state.actor}: {state.reason}"
    if served.stopped:
        return f"{name} is stopped: its requests failed here"
    return served.refused.get("canary", "")
