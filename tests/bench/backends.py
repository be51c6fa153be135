"""What every target stands on: one Triton with the workload's model in every arm, one Redis with rollout and features."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import redis

from orchestration.features.online import OnlineWriter
from orchestration.features.views import PROJECT
from orchestration.publishing.publish import Golden, publish
from orchestration.publishing.repository import Repository
from orchestration.settings import Settings
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState
from serving_gateway.control.store import RolloutStore
from tests.bench.workload import CLOCK, Workload
from tests.servers import RedisServer, TritonServer, redis_server, triton_server

CANARY_BP = 1000
_GOLDEN_ROWS = 64


@dataclass(frozen=True)
class Backends:
    """`baseline`, `canary`, `shadow`: names of the Triton models, which hold the same trees."""

    redis: RedisServer
    triton: TritonServer
    baseline: str
    canary: str
    shadow: str

    @property
    def triton_port(self) -> int:
        """Triton's HTTP port."""
        return int(self.triton.http.rpartition(":")[2])


@contextmanager
def backends(home: Path, workload: Workload) -> Iterator[Backends]:
    """Start both with state under `home`, publish three versions, name them in the rollout, fill the online store."""
    with redis_server(home / "redis", "--appendonly", "yes") as store, triton_server(home) as triton:
        contracts = [msgspec.structs.replace(workload.contract, version=version) for version in "123"]
        golden = Golden(workload.vectors[:_GOLDEN_ROWS], workload.scores[:_GOLDEN_ROWS])
        repository = Repository.of(Settings(home=home))
        names = [publish(c, workload.onnx, golden, repository=repository, grpc=triton.grpc) for c in contracts]
        rollout = RolloutStore.connect(store.url)
        arms = [
            Arm(model=c.model, version=c.version, triton_model=name, contract_digest=rollout.put_contract(c))
            for c, name in zip(contracts, names, strict=True)
        ]
        rollout.write(_state(*arms), None)
        rollout.advance_clock(CLOCK)
        with redis.Redis.from_url(store.url) as client:
            OnlineWriter(client, PROJECT, workload.contract.views).write(workload.stored)
        yield Backends(store, triton, *names)


def _state(baseline: Arm, canary: Arm, shadow: Arm) -> RolloutState:
    return RolloutState(
        epoch=1,
        generation=1,
        phase="canary",
        arms=Arms(baseline=baseline, canary=canary, shadow=shadow),
        canary_weight_bp=CANARY_BP,
        shadow_fraction=1.0,
        actor="bench",
        reason="a canary and a shadow under load",
        time=datetime.now(UTC).isoformat(),
    )
