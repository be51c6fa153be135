import msgspec
import pytest

from serving_gateway.contracts.compatibility import differences
from serving_gateway.contracts.model import Input, ModelContract, RequestField
from tests.serving_gateway.support import CONTRACT, version


def with_input(at: int, **changes: object) -> ModelContract:
    inputs = list(CONTRACT.inputs)
    inputs[at] = msgspec.structs.replace(inputs[at], **changes)
    return version(2, inputs=tuple(inputs))


def test_another_version_of_the_same_inputs_is_compatible() -> None:
    assert differences(CONTRACT, version(2, decision_threshold=0.9, mlflow_run_id="x")) == []


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (version(2, inputs=CONTRACT.inputs[:-1]), "it takes 6 inputs, the baseline 7"),
        (with_input(1, name="day"), "inputs[1] (s_dow): name differs"),
        (with_input(1, dtype="float32"), "inputs[1] (s_dow): dtype differs"),
        (with_input(0, vocabulary=("AA",)), "inputs[0] (s_carrier): vocabulary differs"),
        (with_input(1, source=RequestField("day")), "inputs[1] (s_dow): source differs"),
        (version(2, project="other"), "another layout"),
        (version(2, views=()), "another layout"),
    ],
)
def test_the_difference_is_named(other: ModelContract, why: str) -> None:
    [found] = differences(CONTRACT, other)
    assert why in found


def test_the_order_of_inputs_matters() -> None:
    swapped: tuple[Input, ...] = (CONTRACT.inputs[1], CONTRACT.inputs[0], *CONTRACT.inputs[2:])
    found = differences(CONTRACT, version(2, inputs=swapped))
    assert "inputs[0] (s_carrier): name differs from the baseline's" in found
    assert "inputs[1] (s_dow): dtype differs from the baseline's" in found
