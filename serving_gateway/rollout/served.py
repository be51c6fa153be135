"""What a gateway serves by one rollout state: the arms with their contracts, and why an arm is not used."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from serving_gateway.arms import LoadedArm
from serving_gateway.contracts.compatibility import differences
from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.online_connection import OnlineStore
from serving_gateway.online_features import OnlineFeatures
from serving_gateway.parsing import ContractError, RequestParser
from serving_gateway.rollout.contract_cache import ContractCache
from serving_gateway.settings import Settings
from serving_gateway.triton.client import TritonClient
from serving_gateway.vectors import Vectors


class NotServableError(Exception):
    """The state cannot be served: its baseline's contract is missing or unusable."""


class Served(Struct, frozen=True, kw_only=True):
    """An immutable snapshot: a request uses the same one from its first byte to its answer.

    `control` is the baseline's model once more, beside a canary: it answers as many keys as the canary, in batches as small,
    so that latencies can be compared. `reverse` is it too: it scores in the background what the canary answered. `refused` names the arms of the state that are not used, and why; `awaited`: a contract may still come.
    """

    state: RolloutState
    baseline: LoadedArm
    canary: LoadedArm | None
    shadow: LoadedArm | None
    control: LoadedArm | None = None
    reverse: LoadedArm | None = None
    parser: RequestParser
    vectors: Vectors
    features: OnlineFeatures
    refused: dict[ArmName, str]
    awaited: bool = False
    stopped: bool = False

    @property
    def canary_weight_bp(self) -> int:
        """Basis points of keys that the canary answers here: 0 where it is refused or stopped."""
        return 0 if self.canary is None or self.stopped else self.state.canary_weight_bp

    def arm(self, place: ArmName) -> LoadedArm:
        """The arm that answers the rows of a place; the baseline where that arm is not used here."""
        if place == "canary" and self.canary is not None:
            return self.canary
        if place == "control" and self.control is not None:
            return self.control
        return self.baseline


class Loader:
    """Makes what is served out of a state. Each arm has its own connections: one that hangs starves no other."""

    def __init__(
        self,
        settings: Settings,
        contracts: ContractCache,
        triton: Mapping[ArmName, TritonClient],
        online: OnlineStore,
    ) -> None:
        self._settings = settings
        self._contracts = contracts
        self._triton = triton
        self._at_work: Counter[str] = Counter()
        self._online = online

    async def load(self, state: RolloutState, *, stopped: bool) -> Served:
        """Load every arm's contract. Raises NotServableError, or RedisError or OSError when Redis is needed and away."""
        arm = state.arms.baseline
        contract = await self._contracts.get(arm.contract_digest)
        if contract is None:
            raise NotServableError(
                f"the contract {arm.contract_digest} of {arm.triton_model} is not in the store, or unreadable"
            )
        try:
            parser = RequestParser(contract, max_rows=self._settings.max_rows, accept_event_time=self._settings.replay)
            vectors = Vectors(contract)
        except ContractError as error:
            raise NotServableError(f"the contract of {arm.triton_model} cannot be served: {error}") from error
        refused: dict[ArmName, str] = {}
        canary, canary_missing = await self._other("canary", state.arms.canary, contract, refused)
        shadow, shadow_missing = await self._other("shadow", state.arms.shadow, contract, refused)
        return Served(
            state=state,
            baseline=LoadedArm("baseline", arm, contract, self._triton["baseline"], self._at_work),
            canary=canary,
            shadow=shadow,
            control=LoadedArm("control", arm, contract, self._triton["control"], self._at_work) if canary else None,
            reverse=LoadedArm("baseline", arm, contract, self._triton["shadow"], self._at_work) if canary else None,
            parser=parser,
            vectors=vectors,
            features=OnlineFeatures(contract, self._online),
            refused=refused,
            awaited=canary_missing or shadow_missing,
            stopped=stopped,
        )

    async def _other(
        self, name: ArmName, arm: Arm | None, baseline: ModelContract, refused: dict[ArmName, str]
    ) -> tuple[LoadedArm | None, bool]:
        """The loaded arm or None, and whether its contract is missing. An unusable arm never keeps the baseline away."""
        if arm is None:
            return None, False
        contract = await self._contracts.get(arm.contract_digest)
        if contract is None:
            refused[name] = f"{arm.triton_model}: its contract {arm.contract_digest} is not in the store, or unreadable"
            return None, True
        differing = differences(baseline, contract)
        if differing:
            refused[name] = f"{arm.triton_model}: {'; '.join(differing)}"
            return None, False
        return LoadedArm(name, arm, contract, self._triton[name], self._at_work), False
