"""How far each model came, read from the audit; and the alias champion on a real MLflow, which never goes back."""

import msgspec
import pytest

from orchestration.rollout.mirror import mirror, phases
from serving_gateway.contracts.rollout import Arm, RolloutState
from serving_gateway.control.steps import begin_trial, settle
from serving_gateway.control.store import RolloutStore
from serving_gateway.control.transitions import first_state, rolled_back, set_baseline
from tests.orchestration.rollout.trials import BEGAN, BY, SHADOW, STABLE, arm, at_step
from tests.servers import MlflowServer
from tests.serving_gateway.support import CONTRACT

PROMOTED = at_step(2, 10_000)
SETTLED = settle(PROMOTED, evidence="e", **BY)
ENDED = rolled_back(SHADOW, **BY)
ONE, TWO, THREE = arm(1), arm(2), arm(3)


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([STABLE], {ONE: "baseline"}),
        ([STABLE, SHADOW], {ONE: "baseline", TWO: "shadow"}),
        ([STABLE, SHADOW, PROMOTED], {ONE: "baseline", TWO: "promoted"}),
        ([STABLE, SHADOW, PROMOTED, SETTLED], {ONE: "replaced", TWO: "baseline"}),
        ([STABLE, SHADOW, ENDED], {ONE: "baseline", TWO: "rolled_back"}),
        (
            [STABLE, SHADOW, ENDED, set_baseline(ENDED, THREE, **BY)],
            {ONE: "replaced", TWO: "rolled_back", THREE: "baseline"},
        ),
        ([STABLE, SHADOW, set_baseline(SHADOW, ONE, **BY)], {ONE: "baseline", TWO: "replaced"}),
    ],
)
def test_how_far_each_model_came(states: list[RolloutState], found: dict[Arm, str]) -> None:
    assert phases(list(reversed(states))) == found


@pytest.mark.integration
@pytest.mark.parametrize(("champion", "then"), [("1", "2"), ("3", "3"), (None, "2")])
def test_the_alias_goes_to_what_has_settled_and_never_back(
    champion: str | None, then: str, redis_url: str, mlflow_tracking: MlflowServer
) -> None:
    from mlflow import MlflowClient

    mlflow, name = MlflowClient(tracking_uri=mlflow_tracking.url), f"mirrored_{champion}"
    store, run = RolloutStore.connect(redis_url), mlflow.create_run("0").info.run_id
    mlflow.create_registered_model(name)
    for _ in range(3):
        mlflow.create_model_version(name, f"runs:/{run}/model", run)
    if champion:
        mlflow.set_registered_model_alias(name, "champion", champion)

    def named(version: int) -> Arm:
        contract = msgspec.structs.replace(CONTRACT, model=name, version=str(version), mlflow_run_id=run)
        digest = store.put_contract(contract)
        return Arm(model=name, version=str(version), triton_model=f"{name}_v{version}", contract_digest=digest)

    store.write(first_state(named(1), **BY), None)
    shares = {"weight_bp": 10_000, "shadow_fraction": 0.0, "event_time": BEGAN}
    store.change(lambda s: begin_trial(s, named(2), **shares, **BY))  # type: ignore[arg-type]
    state = store.change(lambda s: settle(s, evidence="e", **BY))
    for _ in range(2):
        mirror(store, mlflow_tracking.url, [state])
    assert mlflow.get_model_version_by_alias(name, "champion").version == then
