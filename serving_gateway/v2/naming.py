"""Names: callers know the registered model and its versions, Triton one model for each version."""

from collections.abc import Iterable

from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.http import ApiError
from serving_gateway.rollout.served import Served


def arms_of(state: RolloutState) -> list[Arm]:
    """The arms of a state, each version once, the baseline's first."""
    found: dict[str, Arm] = {}
    for arm in (state.arms.baseline, state.arms.canary, state.arms.shadow):
        if arm is not None:
            found.setdefault(arm.version, arm)
    return list(found.values())


def arm_asked(served: Served | None, model: str, version: str | None) -> Arm | None:
    """The arm that a path means, the baseline where it names no version; None: another model, which is Triton's own.

    Raises ApiError 404 for a version of the model that is rolled out which no arm has.
    """
    if served is None or model != served.state.arms.baseline.model:
        return None
    arms = arms_of(served.state)
    if version is None:
        return served.state.arms.baseline
    for arm in arms:
        if arm.version == version:
            return arm
    known = ", ".join(arm.version for arm in arms)
    raise ApiError(404, f"{model} has no version {version} in this rollout; there are {known}")


def renamed(entries: Iterable[dict[str, object]], served: Served | None) -> list[dict[str, object]]:
    """Entries of a list of Triton's models, those of arms under the names that callers know."""
    if served is None:
        return list(entries)
    model = served.state.arms.baseline.model
    arms = {arm.triton_model: arm for arm in arms_of(served.state)}
    return [
        entry | {"name": model, "version": arm.version} if (arm := arms.get(str(entry.get("name")))) else entry
        for entry in entries
    ]
