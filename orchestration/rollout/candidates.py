"""Which published models may go on trial by themselves: newer than the baseline, and never tried before."""

from collections.abc import Collection, Sequence

from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control.transitions import on_trial


class NoCandidateError(Exception):
    """Nothing can go on trial now; the message says why."""


def candidates(published: Collection[str], state: RolloutState, audit: Sequence[RolloutState]) -> list[str]:
    """Triton models that may be tried beside the baseline of `state`, the newest version first.

    Args:
        published: Triton model names `<model>_v<version>`; those of another model than the baseline's are left alone.
        state: the state that stands.
        audit: the changes that led to it.

    Raises:
        NoCandidateError: a model is on trial, or there is none to try.
    """
    if on_trial(state) and state.arms.canary is not None:
        raise NoCandidateError(f"{state.arms.canary.triton_model} is on trial")
    served = state.arms.baseline
    tried = {arm.triton_model for s in audit for arm in (s.arms.baseline, s.arms.canary, s.arms.shadow) if arm}
    prefix = f"{served.model}_v"
    versions = {name: int(name.removeprefix(prefix)) for name in published if _is_version(name, prefix)}
    newer = [name for name in versions if versions[name] > int(served.version) and name not in tried]
    if not newer:
        raise NoCandidateError(f"no published model is newer than {served.triton_model} and untried")
    return sorted(newer, key=versions.__getitem__, reverse=True)


def _is_version(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and name.removeprefix(prefix).isdecimal()
