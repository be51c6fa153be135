import numpy as np

from orchestration.training.lightgbm_onnx import to_onnx
from orchestration.training.lightgbm_recipe import train
from tests.synthetic import synthetic_inputs, synthetic_samples


def test_same_rows_give_the_same_artifact_bit_for_bit() -> None:
    samples, inputs = synthetic_samples(), synthetic_inputs()
    first, second = (train(samples, inputs, rounds=30) for _ in range(2))

    np.testing.assert_array_equal(first.predict(samples.vectors), second.predict(samples.vectors))
    assert to_onnx(first, inputs) == to_onnx(second, inputs)


def test_parameters_override_the_recipe() -> None:
    booster = train(synthetic_samples(500), synthetic_inputs(), parameters={"num_leaves": 2}, rounds=3)

    assert [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]] == [2, 2, 2]
