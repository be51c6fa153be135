"""Retire published models that nobody needs: off the manifest, out of Triton, off the disk.

A retired version is still in MLflow and can be published again.

Not known is what a gateway that left cleanly would serve: it took its acknowledgement back. Should it start again with
Redis down, on its last known good state, the models of that state may be retired; it then scores nothing until it reads
the current state.
"""

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orchestration.publishing.publish import take_down
from orchestration.publishing.repository import Repository
from orchestration.publishing.triton import Triton
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore

# The policy's number: of the versions that nobody names, this many of the newest stay.
KEEP_NEWEST = 3
# Requests that began by an older state are over by then: it is more than the gateway's deadline for one.
DRAIN_S = 10.0
CONVERGENCE_TIMEOUT_S = 10.0
_AUDIT = 10_000
_VERSION = re.compile(r"_v(\d+)$")


class RetirementError(Exception):
    """Nothing was retired, because it cannot be known what is needed; the message says why."""


@dataclass(frozen=True)
class Retired:
    """Triton models, sorted by name; `silent` tells of each gateway that died or is cut off, and what to do."""

    names: list[str]
    kept: list[str]
    silent: list[str] = field(default_factory=list)


def to_retire(published: Collection[str], arms: Collection[str], aliases: Collection[str], keep: int) -> list[str]:
    """Names that nobody needs, oldest version first.

    Args:
        published: what is there, by Triton model name `<model>_v<version>`; other names are left alone.
        arms: what the rollout names, or may go back to.
        aliases: what MLflow's aliases name.
        keep: how many of the versions that neither names stay, the newest of them.
    """
    versions = {name: int(found[1]) for name in published if (found := _VERSION.search(name))}
    unnamed = sorted(versions.keys() - {*arms, *aliases}, key=lambda name: (versions[name], name))
    return unnamed[: max(0, len(unnamed) - keep)]


def named_by_arms(history: Sequence[RolloutState], heard: Collection[Acknowledgement]) -> set[str]:
    """Triton models that an arm names, or may have to serve again.

    Those of the state that stands, a rolled-back canary included; the baseline before the last change of the baseline;
    and those of the states that gateways said they serve, with the one after, which a gateway that fell silent may have
    taken before it could say so.

    Args:
        history: the audit, newest first; its first is the state that stands.
        heard: what every gateway last said, however long ago.

    Raises:
        RetirementError: a gateway serves a state that the audit does not know.
    """
    before = next((s for s in history if s.arms.baseline != history[0].arms.baseline), None)
    at = {state.position: index for index, state in enumerate(history)}
    states = [history[0]]
    for gateway in heard:
        if gateway.position not in at:
            raise RetirementError(
                f"{gateway.gateway} serves epoch {gateway.epoch}, generation {gateway.generation}, which the rollout's "
                f"audit does not know: its models would be a guess. {_if_it_is_gone(gateway)}"
            )
        index = at[gateway.position]
        states += history[max(0, index - 1) : index + 1]
    named = {arm.triton_model for s in states for arm in (s.arms.baseline, s.arms.canary, s.arms.shadow) if arm}
    return named | ({before.arms.baseline.triton_model} if before else set())


def fallen_silent(state: RolloutState, heard: Collection[Acknowledgement]) -> list[str]:
    """A line for each gateway that keeps the models of a state before `state`, which every live gateway serves."""
    return [
        f"{gateway.gateway} fell silent at epoch {gateway.epoch}, generation {gateway.generation}; the models that it "
        f"may serve are kept. {_if_it_is_gone(gateway)}"
        for gateway in heard
        if gateway.position < state.position
    ]


def _if_it_is_gone(gateway: Acknowledgement) -> str:
    return f"If it will not come back: redis-cli -u $REDIS_URL HDEL '{keys.ACKS}' '{gateway.gateway}'"


def retire(
    repository: Repository,
    store: RolloutStore,
    aliases: Callable[[], Collection[str]],
    *,
    grpc: str,
    keep: int = KEEP_NEWEST,
    drain_s: float = DRAIN_S,
    timeout_s: float = 60.0,
) -> Retired:
    """Take down every model that `to_retire` finds among those that stood before `aliases` was asked.

    MLflow is asked before the lock is taken, so that one that is down holds nobody else up.
    Under the repository's lock, which whoever names an arm holds too: no arm comes to name a model between the decision
    and its unloading. Every live gateway serves the current state first, and what began before is over.

    Raises:
        RetirementError: nothing was retired; no state stands, or a gateway lags or serves an unknown one.
        UnreadableDocumentError: nothing was retired; the store holds something else where a document belongs.
        RepositoryBusyError: nothing was retired; another process kept the lock.
        PublishError: Triton did not unload a model; a second try finishes the work.
    """
    stood, aliased = repository.names(), aliases()
    with repository.locked():
        state = store.read()
        if state is None:
            raise RetirementError("no rollout state stands: gateways may serve one that the store has lost")
        try:
            store.wait_until_served(state, timeout_s=CONVERGENCE_TIMEOUT_S)
        except TimeoutError as error:
            raise RetirementError(str(error)) from error
        names, heard = repository.names(), store.acknowledgements()
        since = set(names) - set(stood)  # their aliases may be newer than what was asked
        unneeded = to_retire(names, named_by_arms(store.history(_AUDIT), heard), {*aliased, *since}, keep)
        if unneeded:
            _let_requests_end(state, datetime.now(UTC), drain_s)
            with Triton.connect(grpc, timeout_s=timeout_s) as triton:
                take_down(unneeded, triton=triton, repository=repository)
    return Retired(sorted(unneeded), sorted(set(names) - set(unneeded)), fallen_silent(state, heard))


def _let_requests_end(state: RolloutState, now: datetime, drain_s: float) -> None:
    stood_s = (now - datetime.fromisoformat(state.time)).total_seconds()
    time.sleep(min(drain_s, max(0.0, drain_s - stood_s)))
