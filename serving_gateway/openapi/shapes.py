"""The answers that handlers put together by hand, as types. tests/serving_gateway/openapi holds real answers against them."""

from typing import Any

from msgspec import Struct

from serving_gateway.contracts.prediction import ArmName
from serving_gateway.contracts.rollout import RolloutState
from serving_gateway.rollout.tripwire import Trip
from serving_gateway.workers.identity import Worker


class Problem(Struct, frozen=True):
    """What is wrong, and where: `$` is the whole body, `$.instances[3].origin` a member, else a header or `?parameter`."""

    path: str
    message: str


class Error(Struct, frozen=True):
    """Every error outside /v2."""

    error: Problem


class ProtocolError(Struct, frozen=True):
    """Every error under /v2, as the Open Inference Protocol has it."""

    error: str


class Conflict(Struct, frozen=True):
    """The change does not fit what stands; `state` is what stands, null where nothing is served."""

    error: Problem
    state: RolloutState | None


class Received(Struct, frozen=True):
    """How many reports were taken."""

    received: int


class Health(Struct, frozen=True):
    """For people. `epoch` and `generation` are null before anything is served; `refused` tells why an arm is not used."""

    status: str
    gateway: str
    worker: Worker
    uptime_s: float
    epoch: int | None
    generation: int | None
    canary_weight_bp: int
    refused: dict[ArmName, str]
    trip: Trip | None
    problem: str
    redis: str
    spool_bytes: int


class Ready(Struct, frozen=True):
    """A prediction could be answered now, by this state."""

    status: str
    epoch: int
    generation: int


class GatewayHeard(Struct, frozen=True):
    """What a gateway process says it serves, `age_s` seconds ago. `seen_at` is Redis's clock in UNIX seconds."""

    gateway: str
    epoch: int
    generation: int
    canary_weight_bp: int
    seen_at: float
    age_s: float


class RolloutServed(Struct, frozen=True):
    """The state as served here; `stopped`: the reflex took the canary's traffic. `gateways` is null without the store."""

    gateway: str
    state: RolloutState
    canary_weight_bp: int
    refused: dict[ArmName, str]
    stopped: bool
    problem: str
    gateways: list[GatewayHeard] | None


class History(Struct, frozen=True):
    """Changes, the newest first."""

    history: list[RolloutState]


class Changed(Struct, frozen=True, omit_defaults=True):
    """The state that stands. With `?wait`: `served_by` names who serves it, null where not all did in time."""

    changed: bool
    state: RolloutState
    served_by: list[str] | None = None
    problem: str = ""


class Live(Struct, frozen=True):
    """The gateway answers."""

    live: bool


class LiveAndReady(Struct, frozen=True):
    """A prediction could be answered now."""

    live: bool
    ready: bool


class ModelReady(Struct, frozen=True):
    """Triton has the model loaded."""

    name: str
    ready: bool


class ServerMetadata(Struct, frozen=True):
    """Triton's name and version, and its extensions that work through the gateway."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Struct, frozen=True):
    """A tensor; -1 in its shape is any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Struct, frozen=True):
    """`versions` are the registered ones of the arms."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelStatistics(Struct, frozen=True):
    """Triton's statistics, an entry a model version."""

    model_stats: list[dict[str, Any]]


class IndexEntry(Struct, frozen=True, omit_defaults=True):
    """A model in Triton's repository."""

    name: str
    version: str = ""
    state: str = ""
    reason: str = ""


class OutputTensor(Struct, frozen=True, omit_defaults=True):
    """One output; `data` is absent where the tensor follows the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] = []
    parameters: dict[str, Any] = {}


class Inferred(Struct, frozen=True, omit_defaults=True):
    """`model_version` is the registered version that answered; the parameter `prediction_ids` lists the rows' ids."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str = ""
    parameters: dict[str, Any] = {}
