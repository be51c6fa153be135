import numpy as np
import pytest

from orchestration.training.evaluation import calibration_bins
from orchestration.training.figures import TOP, calibration_curve, importance_bars, score_histogram
from orchestration.training.importance import permutation_importance
from tests.synthetic import synthetic_inputs, synthetic_model

RNG = np.random.default_rng(4)
SCORES = RNG.random(500).astype(np.float32)
LABELS = (RNG.random(500) < SCORES).astype(np.int8)


def test_the_calibration_curve_shows_the_bins_and_how_many_rows_they_hold() -> None:
    figure = calibration_curve(LABELS, SCORES)
    curve, counts = figure.axes
    bins = calibration_bins(LABELS, SCORES)

    np.testing.assert_allclose(curve.lines[1].get_xydata(), np.stack([bins.score, bins.observed], axis=1))
    assert sum(patch.get_height() for patch in counts.patches) == 500


def test_the_score_histogram_tells_the_labels_apart() -> None:
    (axes,) = score_histogram(LABELS, SCORES).axes

    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["label 0", "label 1"]


def test_the_bars_are_the_inputs_that_matter_most_in_order() -> None:
    (axes,) = importance_bars({f"x{i}": i / 100 for i in range(40)}).axes

    assert [bar.get_width() for bar in axes.patches] == [i / 100 for i in range(40 - TOP, 40)]


def test_importance_finds_the_inputs_that_made_the_label() -> None:
    model = synthetic_model()
    importance = permutation_importance(model.onnx, model.trained.samples, synthetic_inputs())

    assert sorted(importance, key=importance.__getitem__)[-2:] == ["r_tail_last_arr_delay", "e_org_dep_ewm1h_mean"]
    assert importance["s_distance"] == pytest.approx(0, abs=0.01)
    assert importance == permutation_importance(model.onnx, model.trained.samples, synthetic_inputs())
