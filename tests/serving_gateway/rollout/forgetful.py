"""A rollout in which everything goes wrong: a store that forgets, gateways that are cut off, people who know nothing of it."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import redis

from serving_gateway.contracts.model import ModelContract
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import Acknowledgement, RolloutStore, StaleGenerationError
from serving_gateway.rollout.last_known_good import LastKnownGood
from serving_gateway.rollout.memory import RolloutMemory
from serving_gateway.rollout.tripwire import Trip

Content = dict[Any, Any]


class StoreInRedis(RolloutStore):
    """The real store, whose content can be taken and put back."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(url)
        super().__init__(self.redis)

    def content(self) -> Content:
        return {key: self.redis.dump(key) for key in self.redis.scan_iter("*")}

    def put_back(self, content: Content) -> None:
        self.redis.flushall()
        for key, value in content.items():
            self.redis.restore(key, 0, value)

    def acknowledge(self, gateway: str, state: RolloutState | None) -> None:
        if state is None:
            self.redis.hdel(keys.ACKS, gateway)
        else:
            self.redis.hset(keys.ACKS, gateway, msgspec.json.encode(Acknowledgement(gateway, *state.position, 0, 2e9)))


class StoreInMemory(RolloutStore):
    """The same without a server, so that many more histories can be tried; `change` and the waiting are the real ones."""

    def __init__(self) -> None:
        self.put_back({})

    def content(self) -> Content:
        return {
            "state": self.state,
            "audit": list(self.audit),
            "contracts": dict(self.contracts),
            "acks": dict(self.acks),
        }

    def put_back(self, content: Content) -> None:
        self.state: RolloutState | None = content.get("state")
        self.audit: list[RolloutState] = list(content.get("audit", ()))
        self.contracts: dict[str, ModelContract] = dict(content.get("contracts", {}))
        self.acks: dict[str, Acknowledgement] = dict(content.get("acks", {}))

    def acknowledge(self, gateway: str, state: RolloutState | None) -> None:
        self.acks.pop(gateway, None)
        if state is not None:
            self.acks[gateway] = Acknowledgement(gateway, *state.position, 0, 0.0)

    def read(self) -> RolloutState | None:
        return self.state

    def known_since(self, served: RolloutState | None) -> tuple[RolloutState | None, list[RolloutState]]:
        return self.state, list(self.audit)

    def write(self, new: RolloutState, expected: RolloutState | None, *, forgotten: Any = ()) -> None:
        if (self.state and self.state.position) != (expected and expected.position):
            raise StaleGenerationError(self.state)
        self.state = new
        self.audit += [*forgotten, new]

    def put_contract(self, contract: ModelContract) -> str:
        self.contracts[contract.digest] = contract
        return contract.digest

    def contract(self, digest: str) -> ModelContract | None:
        return self.contracts.get(digest)

    def heard(self) -> list[tuple[Acknowledgement, float]]:
        return [(said, 0.0) for said in self.acks.values()]


@dataclass
class FollowingGateway:
    """What a gateway process is to the rollout: a memory on disk, what it serves, and whether it reaches the store."""

    name: str
    folder: Path
    store: StoreInRedis | StoreInMemory
    contracts: dict[str, ModelContract]
    connected: bool = True
    trip: Trip | None = None
    served: list[RolloutState] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Whatever it knew besides what is on disk is gone."""
        known = LastKnownGood(self.folder, self.name)
        self.memory = RolloutMemory(self.store, known, self.contracts.get, self.name)
        if self.memory.newest is not None:
            self._serve(self.memory.newest)

    def look(self, now: datetime) -> None:
        if not self.connected:
            return
        history = self.memory.following(self.trip, now)
        if history:
            self.memory.keep(history)
            self._serve(history[-1])
            self.trip = None
            self.store.acknowledge(self.name, history[-1])

    def cut_off(self) -> None:
        """Long enough for its acknowledgement to grow old."""
        self.connected = False
        self.store.acknowledge(self.name, None)

    def _serve(self, state: RolloutState) -> None:
        if not self.served or self.served[-1] != state:
            self.served.append(state)
