"""What MLflow tells of the rollout: each model's phase on the run that trained it, and the alias of what has settled.

All of it follows from the audit and is written after the change. So it may be written again: what a crash or an absent
MLflow left out, the next call makes up for.
"""

from collections.abc import Sequence
from typing import Any

from orchestration.rollout.shadow_runs import LOOK_BACK, bring_in_line, client, mark_shadows
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.steps import settled
from serving_gateway.control.store import RolloutStore


def phases(history: Sequence[RolloutState]) -> dict[Arm, str]:
    """How far every model of `history` (newest first, as the store gives it) has come.

    `baseline`, or the rollout's phase of one on trial, `rolled_back` included; `replaced` is one that no arm names any
    more and that was not rolled back.
    """
    found: dict[Arm, str] = {}
    for state in reversed(history):
        named = {state.arms.baseline: "baseline"}
        if state.arms.canary is not None:
            named = {state.arms.canary: state.phase} | named
        left = {arm: "replaced" for arm in found.keys() - named.keys() if found[arm] != "rolled_back"}
        found |= left | named
    return found


def mirror(store: RolloutStore, mlflow_url: str, changes: Sequence[RolloutState]) -> None:
    """Bring MLflow in line with the audit; `changes` are those since the last call, oldest first.

    Raises ShadowReviewError while MLflow does not answer.
    """
    mark_shadows(store, mlflow_url)
    found = phases(store.history(LOOK_BACK))
    contracts = {arm: store.contract(arm.contract_digest) for arm in found}
    champion = next((state.arms.baseline for state in reversed(changes) if settled(state)), None)
    with client(mlflow_url) as mlflow:
        for arm, contract in contracts.items():
            if contract is not None:
                bring_in_line(mlflow, contract.mlflow_run_id, {"rollout_phase": found[arm]})
        if champion is not None:
            _make_champion(mlflow, champion)


def _make_champion(mlflow: Any, arm: Arm) -> None:
    """The alias never goes back: a champion that was trained since is newer than what settled before."""
    from mlflow.exceptions import MlflowException

    try:
        standing = mlflow.get_registered_model(arm.model).aliases.get("champion")
        if standing is None or int(standing) < int(arm.version):
            mlflow.set_registered_model_alias(arm.model, "champion", arm.version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # a version that was deleted needs no name
            raise
