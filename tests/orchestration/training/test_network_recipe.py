import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orchestration.training.network_encoding import Encoding
from orchestration.training.network_onnx import to_onnx
from orchestration.training.network_recipe import fit
from orchestration.training.onnx_model import parity, score
from serving_gateway.contracts import Input
from serving_gateway.contracts.model import RequestField
from tests.synthetic import synthetic_inputs, synthetic_samples

SAMPLES = synthetic_samples(1000)
ENCODING = Encoding.learn(SAMPLES.vectors, synthetic_inputs())
FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)
NUMBER = Input(name="x", dtype="float32", source=RequestField("x"))
CATEGORY = Input(name="c", dtype="category", source=RequestField("c"), vocabulary=("a", "b"))


def encode(column: list[float], value: float, i: Input = NUMBER) -> list[float]:
    encoding = Encoding.learn(np.array(column, np.float32)[:, None], [i])
    return encoding(np.array([[value]], np.float32))[0].tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, [0, 0]), (1, [0.5, 0]), (2, [1, 0]), (8, [1, 0.5]), (14, [1, 1]), (np.inf, [1, 1]), (-np.inf, [0, 0])],
)
def test_a_number_fills_the_bins_below_it(value: float, expected: list[float]) -> None:
    """Half of the column is at 2, so the bins that its quantiles would part fall together."""
    assert encode([0, 2, 2, 2, 2, 2, 2, 2, 14], value) == [*expected, 0]


def test_a_missing_value_fills_nothing_and_says_so() -> None:
    assert encode([0, 1, 2], np.nan)[-1] == 1
    assert encode([0, 1, 2], np.nan)[:-1] == [0] * (len(encode([0, 1, 2], 1)) - 1)


@pytest.mark.parametrize(("value", "expected"), [(0, [1, 0, 0]), (1, [0, 1, 0]), (np.nan, [0, 0, 1])])
def test_a_category_lights_up_its_own_place(value: float, expected: list[float]) -> None:
    assert encode([0, 1, 0], value, CATEGORY) == expected


@pytest.mark.parametrize("column", [[3, 3, 3], [np.nan, np.nan]])
def test_an_input_that_says_nothing_has_no_bins(column: list[float]) -> None:
    assert encode(column, 3) == [0]


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (5, 26), elements=FLOATS))
def test_whatever_comes_the_encoding_lies_between_0_and_1(vectors: np.ndarray) -> None:
    encoded = ENCODING(vectors)

    assert ((encoded >= 0) & (encoded <= 1)).all()


def two_layers() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(5)
    width = ENCODING(SAMPLES.vectors[:1]).shape[1]
    return [
        (rng.normal(0, 0.3, (rows, columns)).astype(np.float32), rng.normal(size=columns).astype(np.float32))
        for rows, columns in ((width, 8), (8, 1))
    ]


LAYERS = two_layers()
GRAPH = to_onnx(ENCODING, LAYERS, synthetic_inputs())


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (40, 26), elements=FLOATS))
def test_the_graph_computes_the_encoding_and_the_layers(vectors: np.ndarray) -> None:
    (first, bias), (last, offset) = (tuple(array.astype(np.float64) for array in layer) for layer in LAYERS)
    logit = np.maximum(ENCODING(vectors) @ first + bias, 0) @ last + offset

    assert parity(GRAPH, vectors, 1 / (1 + np.exp(-logit[:, 0]))) < 1e-5


def test_the_graph_is_of_plain_operators_that_any_runtime_knows() -> None:
    model = onnx.load_model_from_string(GRAPH)

    assert [opset.domain for opset in model.opset_import] == [""]
    assert {node.domain for node in model.graph.node} == {""}


def test_parameters_override_the_recipe_and_a_batch_is_no_larger_than_the_samples() -> None:
    few = synthetic_samples(100)
    fitted = fit(few, synthetic_inputs(), parameters={"hidden_layer_sizes": (3,), "random_state": 1})

    assert fitted.parameters["hidden_layer_sizes"] == (3,)
    assert fitted.parameters["batch_size"] == 100
    assert score(fitted.onnx, few.vectors).shape == (100,)


def test_another_seed_is_another_network() -> None:
    one, other = (fit(SAMPLES, synthetic_inputs(), parameters={"random_state": seed}) for seed in (1, 2))

    assert one.onnx != other.onnx
