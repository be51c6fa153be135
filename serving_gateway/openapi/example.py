"""A small model for examples: /predict takes what the served model's contract asks for. And a rollout of its next version."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from serving_gateway.contracts.model import Feature, Input, ModelContract, RequestField
from serving_gateway.contracts.online_layout import FeatureField, ViewLayout
from serving_gateway.contracts.rollout import Arm, Arms, RolloutState
from serving_gateway.control.transitions import changed, rolled_back

_CUSTOMER = ViewLayout(
    name="customer",
    join_keys=("customer",),
    features=(FeatureField(name="orders_30d", field="0a0b0c0d", dtype="int64"),),
    ttl_s=86_400,
)
CONTRACT = ModelContract(
    model="late_payment",
    version="1",
    inputs=(
        Input(name="amount", dtype="float32", source=RequestField("amount")),
        Input(name="channel", dtype="category", source=RequestField("channel"), vocabulary=("web", "shop")),
        Input(name="orders_30d", dtype="float32", source=Feature("customer", "orders_30d")),
    ),
    views=(_CUSTOMER,),
    feature_service="late_payment",
    project="example",
    decision_threshold=0.5,
    training_start="2026-01-01",
    training_end="2026-04-01",
    mlflow_run_id="0123456789abcdef",
    artifact_digest="0123456789abcdef",
)

_NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def next_version(contract: ModelContract) -> ModelContract:
    """A contract that a canary may have beside `contract`."""
    return msgspec.structs.replace(contract, version=f"{contract.version}1")


def tried(contract: ModelContract, *, weight_bp: int, reason: str) -> RolloutState:
    """What stands after an administrator gave the next version its share, where `contract` served alone."""
    alone = RolloutState(epoch=1, generation=1, phase="stable", arms=Arms(baseline=_arm(contract)))
    arms = Arms(baseline=_arm(contract), canary=_arm(next_version(contract)))
    return changed(alone, arms=arms, weight_bp=weight_bp, shadow_fraction=None, actor="admin", reason=reason, now=_NOW)


def taken_back(state: RolloutState, *, reason: str) -> RolloutState:
    """What stands after an administrator took the canary's traffic away."""
    return rolled_back(state, actor="admin", reason=reason, now=_NOW)


def by_entities(contract: ModelContract) -> dict[str, Any]:
    """An instance by entities and request fields, as `contract` asks for it."""
    entities = {key: f"a {key}" for view in contract.views for key in view.join_keys}
    return entities | {i.source.field: _value(i) for i in contract.inputs if isinstance(i.source, RequestField)}


def by_features(contract: ModelContract) -> dict[str, Any]:
    """An instance of given features."""
    return {"features": {i.name: _value(i) for i in contract.inputs}}


def tensors(contract: ModelContract) -> dict[str, Any]:
    """An infer request of one row."""
    data = [1.0] * len(contract.inputs)
    shape = [1, len(contract.inputs)]
    return {"inputs": [{"name": contract.input_tensor, "datatype": "FP32", "shape": shape, "data": data}]}


def _arm(contract: ModelContract) -> Arm:
    name = f"{contract.model}_v{contract.version}"
    return Arm(model=contract.model, version=contract.version, triton_model=name, contract_digest=contract.digest)


def _value(given: Input) -> str | float | None:
    if given.dtype == "category":
        return given.vocabulary[0] if given.vocabulary else None
    return 3 if given.dtype == "int32" else 12.5
