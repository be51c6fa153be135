"""Model contracts over a layout of the feature views, as the tests need them."""

from collections.abc import Iterable

from orchestration.features.inputs import model_inputs
from orchestration.features.views import FEATURE_SERVICE, PROJECT
from serving_gateway.contracts import Input, ModelContract
from serving_gateway.contracts.online_layout import ViewLayout

INPUTS = model_inputs({"carrier": ("AA",), "origin": ("JFK",)})


def contract_over(
    views: Iterable[ViewLayout], inputs: tuple[Input, ...] = INPUTS, *, version: str = "1"
) -> ModelContract:
    """A model that reads these views; by default all inputs of ours."""
    return ModelContract(
        model="flight_delay",
        version=version,
        inputs=inputs,
        views=tuple(views),
        feature_service=FEATURE_SERVICE,
        project=PROJECT,
        decision_threshold=0.5,
        training_start="2013-01-01",
        training_end="2013-04-01",
        mlflow_run_id="0",
        artifact_digest="0",
    )
