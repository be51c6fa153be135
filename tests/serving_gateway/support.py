"""A small contract, rows in Redis by its layout, a gateway process, and a client."""

import json
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import redis

from serving_gateway.contracts.model import Feature, Input, MinutesSince, ModelContract, RequestField
from serving_gateway.contracts.online_layout import (
    FeatureField,
    ValueType,
    ViewLayout,
    encode_timestamp,
    encode_value,
    entity_key,
)
from serving_gateway.contracts.prediction import LogRecord, PredictionRecord
from serving_gateway.contracts.prediction_log import StreamBatch
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState
from serving_gateway.control import keys
from serving_gateway.control.store import RolloutStore
from tests.servers import free_port, running

EVENT_TIME = datetime(2013, 5, 1, 12, tzinfo=UTC)
EVENT_TIME_US = int(EVENT_TIME.timestamp() * 1e6)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def view(name: str, join_keys: tuple[str, ...], features: dict[str, ValueType], ttl_s: int) -> ViewLayout:
    """A view; the hash fields need only be unique."""
    fields = tuple(
        FeatureField(name=f, field=zlib.crc32(f"{name}:{f}".encode()).to_bytes(4, "little").hex(), dtype=dtype)
        for f, dtype in features.items()
    )
    return ViewLayout(name=name, join_keys=join_keys, features=fields, ttl_s=ttl_s)


WEATHER = view("weather", ("origin",), {"visib": "double"}, 3600)
TAIL = view("tail", ("tailnum",), {"last_at": "unix_timestamp", "kind": "string"}, 86400)
BOARD = view("board", (), {"late_share": "float"}, 0)
CONTRACT = ModelContract(
    model="delay",
    version="1",
    inputs=(
        Input(name="s_carrier", dtype="category", source=RequestField("carrier"), vocabulary=("AA", "B6")),
        Input(name="s_dow", dtype="int32", source=RequestField("dow")),
        Input(name="s_distance", dtype="float32", source=RequestField("distance")),
        Input(name="visib", dtype="float32", source=Feature("weather", "visib")),
        Input(name="tail min", dtype="float32", source=MinutesSince("tail", "last_at")),
        Input(name="kind", dtype="category", source=Feature("tail", "kind"), vocabulary=("jet", "prop")),
        Input(name="late_share", dtype="float32", source=Feature("board", "late_share")),
    ),
    views=(WEATHER, TAIL, BOARD),
    feature_service="delay",
    project="drift",
    decision_threshold=0.5,
    training_start="2013-01-01",
    training_end="2013-04-01",
    mlflow_run_id="run",
    artifact_digest="digest",
)
INSTANCE = {"origin": "JFK", "tailnum": "N1", "carrier": "B6", "dow": 3, "distance": 1089}
GIVEN = {
    "s_carrier": "B6",
    "s_dow": 3,
    "s_distance": 1089,
    "visib": 10,
    "tail min": None,
    "kind": "jet",
    "late_share": 0.5,
}


def version(number: int, **changes: object) -> ModelContract:
    """The contract of another version."""
    return msgspec.structs.replace(CONTRACT, version=str(number), **changes)


TWO = version(2)


def arm_of(contract: ModelContract) -> Arm:
    """The arm that serves `contract`."""
    name = f"{contract.model}_v{contract.version}"
    return Arm(model=contract.model, version=contract.version, triton_model=name, contract_digest=contract.digest)


def state_of(
    baseline: ModelContract,
    canary: ModelContract | None = None,
    *,
    shadow: ModelContract | None = None,
    weight_bp: int = 0,
    shadow_fraction: float = 0.0,
    generation: int = 1,
    epoch: int = 1,
) -> RolloutState:
    """A rollout state over contracts."""
    return RolloutState(
        epoch=epoch,
        generation=generation,
        phase="canary" if canary else "stable",
        arms=Arms(
            baseline=arm_of(baseline),
            canary=arm_of(canary) if canary else None,
            shadow=arm_of(shadow) if shadow else None,
        ),
        canary_weight_bp=weight_bp,
        shadow_fraction=shadow_fraction,
    )


def publish_state(url: str, state: RolloutState, *contracts: ModelContract) -> RolloutStore:
    """Store the contracts and make `state` the rollout's."""
    store = RolloutStore.connect(url)
    for contract in contracts:
        store.put_contract(contract)
    store.write(state, store.read())
    return store


def put_view(
    client: "redis.Redis", layout: ViewLayout, entities: tuple[str, ...], at_us: int, values: dict[str, object]
) -> None:
    """Write one row of a view as Feast does."""
    row: dict[bytes, bytes] = {layout.timestamp_field: encode_timestamp(at_us)}
    for f in layout.features:
        row[bytes.fromhex(f.field)] = encode_value(f.dtype, values[f.name])  # type: ignore[arg-type]
    client.hset(entity_key("drift", layout.join_keys, entities), mapping=row)  # type: ignore[arg-type]


def put_all_views(client: "redis.Redis") -> None:
    """Fresh rows for INSTANCE at EVENT_TIME."""
    put_view(client, WEATHER, ("JFK",), EVENT_TIME_US - 60_000_000, {"visib": 9.5})
    put_view(
        client, TAIL, ("N1",), EVENT_TIME_US - 60_000_000, {"last_at": EVENT_TIME_US // 1_000_000 - 600, "kind": "prop"}
    )
    put_view(client, BOARD, (), EVENT_TIME_US, {"late_share": 0.25})
    client.set(keys.CLOCK, EVENT_TIME_US)


CANARY = state_of(CONTRACT, TWO, weight_bp=5000)


@dataclass(frozen=True)
class GatewayProcess:
    """A running gateway and a client of it."""

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    client: httpx.Client
    home: Path

    def predict(self, document: object, **headers: str) -> httpx.Response:
        return self.client.post("/predict", content=json.dumps(document), headers=headers)

    def health(self) -> dict[str, object]:
        return self.client.get("/health").json()

    def metric(self, name: str) -> float:
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@contextmanager
def gateway_process(
    home: Path,
    redis_url: str,
    triton: str = "127.0.0.1:1",
    *,
    port: int | None = None,
    under_asgi: bool = False,
    **environ: str,
) -> Iterator[GatewayProcess]:
    """`python -m serving_gateway`, or the same under uvicorn, on `port` or a free one, ready to be asked for its health."""
    port = port or free_port()
    settings = {
        "GATEWAY_PORT": port, "REDIS_URL": redis_url, "TRITON_HTTP": triton, "PLATFORM_HOME": home, "EVENT_CLOCK": "replay"
    } | environ  # fmt: skip
    server = ["uvicorn", "--port", str(port), "--factory", "serving_gateway.asgi:application"]
    command = ["env", *(f"{name}={value}" for name, value in settings.items()), sys.executable, "-m"]
    command += server if under_asgi else ["serving_gateway"]
    url = f"http://127.0.0.1:{port}"
    with (
        running(f"gateway-{port}", command, home, lambda: _alive(url), timeout_s=15) as process,
        httpx.Client(base_url=url, timeout=10) as client,
    ):
        yield GatewayProcess(url, port, process, client, home)


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
    """Wait until `condition()` holds; fail the test when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def serve(redis_url: str, gateway: GatewayProcess, state: RolloutState) -> None:
    store = publish_state(redis_url, msgspec.structs.replace(state, generation=2), CONTRACT, TWO)
    current = store.read()
    assert current is not None
    store.wait_until_served(current, timeout_s=5)
    wait_for(lambda: gateway.health()["generation"] == current.generation)


def shipped(redis_url: str) -> list[LogRecord]:
    with redis.Redis.from_url(redis_url) as client:
        entries = client.xrange(keys.PREDICTIONS)
    return [r for _, fields in entries for r in StreamBatch.from_fields(fields).decoded()]  # type: ignore[union-attr]


def predictions(redis_url: str) -> list[PredictionRecord]:
    return [r for r in shipped(redis_url) if isinstance(r, PredictionRecord)]


def many(n: int) -> dict[str, object]:
    return {"instances": [INSTANCE | {"tailnum": f"N{i}"} for i in range(n)]}
