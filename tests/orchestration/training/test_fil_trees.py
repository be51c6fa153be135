"""Does FIL score the trees as ONNX Runtime does? Here by treelite, which FIL loads models with and scores with on a CPU.

On a GPU FIL holds thresholds and leaves as float32, and adds the trees' leaves in float32 in an order of its own.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
import treelite
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orchestration.publishing.publish import TOLERANCE
from orchestration.training import lightgbm_recipe
from orchestration.training.artifact import _hard
from orchestration.training.lightgbm_onnx import to_onnx, to_text
from orchestration.training.onnx_model import score
from orchestration.training.recipe import Fitted
from serving_gateway.contracts import Input
from serving_gateway.contracts.model import RequestField
from tests.synthetic import synthetic_inputs, synthetic_model, synthetic_samples

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def loaded(text: str, folder: Path) -> Any:
    path = folder / "model.txt"
    path.write_text(text)
    return treelite.frontend.load_lightgbm_model(path)


def on_a_cpu(trees: Any, vectors: np.ndarray) -> np.ndarray:
    return treelite.gtil.predict(trees, vectors, nthread=1)[:, 0, 0]


def on_a_gpu(trees: Any, vectors: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Leaves as float32, added in float32 tree after tree in this order, then the logistic function in float32."""
    leaves = treelite.gtil.predict_per_tree(trees, vectors, nthread=1)[:, :, 0].astype(np.float32)
    total = np.zeros(len(vectors), np.float32)
    for tree in order:
        total += leaves[:, tree]
    return 1 / (1 + np.exp(-total))


@cache
def recipe() -> Fitted:
    """The recipe as it is, with all its rounds."""
    return lightgbm_recipe.fit(synthetic_samples(), synthetic_inputs())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return loaded(to_text(synthetic_model().trained.booster), tmp_path_factory.mktemp("small"))


@given(hnp.arrays(np.float32, (40, 26), elements=FLOATS))
def test_any_vector_scores_the_same_nan_in_every_column_included(small: Any, vectors: np.ndarray) -> None:
    np.testing.assert_allclose(on_a_cpu(small, vectors), score(synthetic_model().onnx, vectors), atol=1e-6, rtol=0)


def test_the_recipes_trees_score_the_same_in_float32_in_any_drawn_order(tmp_path: Path) -> None:
    fitted = recipe()
    assert fitted.trees is not None
    trees = loaded(fitted.trees, tmp_path)
    vectors = np.concatenate([synthetic_samples().vectors[:300], _hard(26)])
    expected = score(fitted.onnx, vectors)

    np.testing.assert_allclose(on_a_cpu(trees, vectors), expected, atol=1e-6, rtol=0)
    orders = [np.random.default_rng(seed).permutation(lightgbm_recipe.ROUNDS) for seed in range(3)]
    for order in (np.arange(lightgbm_recipe.ROUNDS), *orders):
        np.testing.assert_allclose(on_a_gpu(trees, vectors, order), expected, atol=TOLERANCE / 2, rtol=0)


def thresholds(text: str) -> np.ndarray:
    return np.array([float(t) for line in re.findall(r"^threshold=(.*)$", text, re.MULTILINE) for t in line.split()])


def test_thresholds_lose_nothing_as_float32() -> None:
    booster = synthetic_model().trained.booster
    ours, own = thresholds(to_text(booster)), thresholds(booster.model_to_string())

    assert (ours == ours.astype(np.float32)).all()
    assert (own != own.astype(np.float32)).any()  # LightGBM's own would be rounded by FIL, up as well as down
    assert len(ours) == len(own)


def test_a_split_between_neighbouring_float32_values_stays_between_them(tmp_path: Path) -> None:
    """FIL's rounding is done here beforehand, to LightGBM's own thresholds and to ours."""
    below = np.random.default_rng(3).normal(20, 10, 400).astype(np.float32)
    values = np.stack([below, np.nextafter(below, np.float32(np.inf))])
    parts = {"objective": "binary", "min_data_in_leaf": 1, "min_data_in_bin": 1, "max_bin": 4095, "num_leaves": 400}
    vectors = np.repeat(values.T.reshape(-1, 1), 3, axis=0)
    data = lgb.Dataset(vectors, np.tile([0, 0, 0, 1, 1, 1], 400))
    booster = lgb.train(parts | {"num_threads": 1, "verbosity": -1}, data, 10)
    onnx = to_onnx(booster, [Input(name="x", dtype="float32", source=RequestField("x"))])
    expected = score(onnx, vectors)

    ours = loaded(rounded_as_fil_does(to_text(booster)), tmp_path)
    own = loaded(rounded_as_fil_does(booster.model_to_string()), tmp_path)

    np.testing.assert_allclose(on_a_cpu(ours, vectors), expected, atol=1e-6, rtol=0)
    assert np.abs(on_a_cpu(own, vectors) - expected).max() > 0.1


def rounded_as_fil_does(text: str) -> str:
    def nearest(line: re.Match[str]) -> str:
        return "threshold=" + " ".join(repr(float(np.float32(t))) for t in line[1].split())

    return re.sub(r"^threshold=(.*)$", nearest, text, flags=re.MULTILINE)


def test_equal_boosters_give_equal_texts() -> None:
    samples, inputs = synthetic_samples(), synthetic_inputs()
    first, second = (lightgbm_recipe.train(samples, inputs, rounds=10) for _ in range(2))
    assert to_text(first) == to_text(second)
