import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orchestration.training.lightgbm_onnx import to_onnx
from orchestration.training.onnx_model import ParityError, parity
from serving_gateway.contracts import Input
from serving_gateway.contracts.model import RequestField
from tests.synthetic import synthetic_inputs, synthetic_model

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def test_graph_is_one_input_and_one_output_and_nothing_else() -> None:
    model = onnx.load_model_from_string(synthetic_model().onnx)
    graph = model.graph

    def shape(tensor: onnx.ValueInfoProto) -> list[object]:
        dims = tensor.type.tensor_type.shape.dim
        return [tensor.name, tensor.type.tensor_type.elem_type, *(d.dim_value or None for d in dims)]

    assert [shape(t) for t in graph.input] == [["features", onnx.TensorProto.FLOAT, None, 26]]
    assert [shape(t) for t in graph.output] == [["score", onnx.TensorProto.FLOAT, None, 1]]
    assert [node.op_type for node in graph.node] == ["TreeEnsembleClassifier", "Gather"]
    assert [(p.key, p.value) for p in model.metadata_props] == [
        ("inputs", ",".join(i.name for i in synthetic_inputs()))
    ]


def test_exported_model_scores_as_the_trainer_does() -> None:
    model = synthetic_model()

    assert np.isnan(model.trained.samples.vectors).any()
    assert parity(model.onnx, model.trained.samples.vectors, model.trained.scores) < 1e-6


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (40, 26), elements=FLOATS))
def test_parity_holds_for_any_vector_nan_in_every_column_included(vectors: np.ndarray) -> None:
    model = synthetic_model()

    assert parity(model.onnx, vectors, model.trained.booster.predict(vectors)) < 1e-6


def test_parity_holds_where_a_split_parts_neighbouring_float32_values() -> None:
    import lightgbm as lgb

    below = np.random.default_rng(3).normal(20, 10, 400).astype(np.float32)
    values = np.stack([below, np.nextafter(below, np.float32(np.inf))])
    parts = {
        "objective": "binary",
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "max_bin": 4095,
        "num_threads": 1,
        "verbosity": -1,
    }
    vectors = np.repeat(values.T.reshape(-1, 1), 3, axis=0)
    labels = np.tile([0, 0, 0, 1, 1, 1], 400)
    booster = lgb.train(parts | {"num_leaves": 400}, lgb.Dataset(vectors, labels), 10)

    expected = booster.predict(vectors)

    assert np.abs(expected[::6] - expected[3::6]).max() > 0.1
    assert (
        parity(to_onnx(booster, [Input(name="x", dtype="float32", source=RequestField("x"))]), vectors, expected) < 1e-6
    )


def test_another_models_scores_are_a_parity_error_that_names_the_row() -> None:
    model, other = synthetic_model(), synthetic_model(seed=8)
    samples = model.trained.samples

    with pytest.raises(ParityError, match=r"differs from the trainer by .* first in row \d+"):
        parity(other.onnx, samples.vectors, model.trained.scores)


def test_a_score_that_is_no_number_is_a_parity_error() -> None:
    model = synthetic_model()
    scores = model.trained.scores.copy()
    scores[3] = np.nan

    with pytest.raises(ParityError):
        parity(model.onnx, model.trained.samples.vectors, scores)


def test_export_is_quiet(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    to_onnx(synthetic_model().trained.booster, synthetic_inputs())

    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn] == []
