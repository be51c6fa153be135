"""The contracts of the models that are served, as the rollout store has them."""

import msgspec
import redis

from orchestration.features.breaking import Served
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.store import RolloutStore, UnreadableDocumentError
from serving_gateway.control.transitions import on_trial

_ANEW = "Serve the model anew: materialize baseline_arm, or canary_arm for one on trial"


class ServedUnknownError(Exception):
    """It cannot be told what is served; the message says why and what to do."""


def served_models(store: RolloutStore) -> list[Served]:
    """Baseline, canary and shadow with their contracts; a model that is two arms is one entry, none where nothing is served.

    A canary that was rolled back is named in the state for the record alone: no gateway scores with it. Where the store has
    no state, a gateway has a second to bring back what the store has lost.

    Raises ServedUnknownError where Redis is away, or holds no readable contract for an arm.
    """
    try:
        state = store.read_restored()
        arms = {} if state is None else _arms(state)
        return [Served(_contract(store, arm), tuple(names)) for arm, names in arms.items()]
    except redis.RedisError as error:
        raise ServedUnknownError(
            f"Redis (REDIS_URL, REDIS_PORT) cannot be reached, so what is served is not known: {error}. Start Redis, then"
            " materialize feature_registry again"
        ) from error
    except UnreadableDocumentError as error:
        raise ServedUnknownError(f"what is served is not known: {error}. Serve a model anew: baseline_arm") from error


def _arms(state: RolloutState) -> dict[Arm, list[str]]:
    canary = state.arms.canary if on_trial(state) else None
    found: dict[Arm, list[str]] = {}
    for name, arm in (("baseline", state.arms.baseline), ("canary", canary), ("shadow", state.arms.shadow)):
        if arm is not None:
            found.setdefault(arm, []).append(name)
    return found


def _contract(store: RolloutStore, arm: Arm) -> ModelContract:
    try:
        contract = store.contract(arm.contract_digest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ServedUnknownError(f"{_lost(arm)} is unreadable: {error}. {_ANEW}") from error
    if contract is None:
        raise ServedUnknownError(f"{_lost(arm)} is not there. {_ANEW}")
    return contract


def _lost(arm: Arm) -> str:
    return f"what {arm.model}:{arm.version} reads is not known: its contract {arm.contract_digest} in Redis"
