"""What every recipe owes: parity on every row, rows that do not mind each other, the same artifact twice."""

from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from orchestration.training.artifact import check_artifact
from orchestration.training.contract import build_contract
from orchestration.training.evaluation import evaluate
from orchestration.training.onnx_model import digest, is_trees, parity, score
from orchestration.training.recipe import Fitted, Samples, TrainingDataError, window
from orchestration.training.recipes import RECIPES, RecipeName
from serving_gateway.contracts import ModelContract
from tests.synthetic import START, synthetic_inputs, synthetic_rows

DAY = timedelta(days=1)
INPUTS = synthetic_inputs()
SAMPLES = window(synthetic_rows(), INPUTS, start=START, end=START + 4 * DAY)
LATER = window(synthetic_rows(), INPUTS, start=START + 8 * DAY, end=START + 10 * DAY)

every_recipe = pytest.mark.parametrize("name", RECIPES)


@cache
def fitted(name: RecipeName) -> Fitted:
    return RECIPES[name](SAMPLES, INPUTS)


def contract_of(onnx: bytes) -> ModelContract:
    days = {"training_start": START, "training_end": START + 8 * DAY}
    return build_contract(onnx, version="1", run_id="0" * 32, inputs=INPUTS, views=(), **days)


def test_every_name_has_its_recipe() -> None:
    assert set(RECIPES) == set(RecipeName)


@every_recipe
def test_the_export_scores_every_training_row_as_the_trainer_does(name: RecipeName) -> None:
    """Missing numbers and categories outside the vocabulary included."""
    assert np.isnan(SAMPLES.vectors[:, 2:]).any()
    unknown = SAMPLES.vectors.copy()
    unknown[::3, 0] = unknown[::5, 1] = np.nan
    samples = Samples(unknown, SAMPLES.labels)
    made = RECIPES[name](samples, INPUTS)

    assert parity(made.onnx, samples.vectors, made.scores) < 1e-6


@every_recipe
def test_a_row_scores_the_same_alone_and_in_a_batch(name: RecipeName) -> None:
    onnx, rows = fitted(name).onnx, LATER.vectors[:64]

    alone = np.concatenate([score(onnx, row[None]) for row in rows])

    np.testing.assert_allclose(alone, score(onnx, rows), atol=1e-6)


@every_recipe
def test_the_same_samples_give_the_same_artifact(name: RecipeName) -> None:
    again = RECIPES[name](SAMPLES, INPUTS)

    assert digest(again.onnx) == digest(fitted(name).onnx)
    np.testing.assert_array_equal(again.scores, fitted(name).scores)


@every_recipe
def test_it_learns_what_is_there_to_learn(name: RecipeName) -> None:
    metrics = evaluate(LATER.labels, score(fitted(name).onnx, LATER.vectors))

    assert metrics.auc > 0.65
    assert metrics.brier_skill > 0.05


@every_recipe
def test_the_artifact_is_what_a_contract_may_name(name: RecipeName) -> None:
    onnx = fitted(name).onnx

    check_artifact(onnx, contract_of(onnx))


@every_recipe
def test_trees_come_as_text_too(name: RecipeName) -> None:
    made = fitted(name)

    assert is_trees(made.onnx) == (made.trees is not None) == (name is RecipeName.lightgbm)


@every_recipe
def test_the_parameters_are_told(name: RecipeName) -> None:
    assert len(fitted(name).parameters) > 5


def test_window_is_half_open() -> None:
    rows = synthetic_rows(1000, days=10)

    samples = window(rows, INPUTS, start=START + DAY, end=START + 2 * DAY)

    stamps = rows["event_timestamp"].to_list()
    expected = [i for i, t in enumerate(stamps) if START + DAY <= t < START + 2 * DAY]
    assert START + DAY in stamps
    assert START + 2 * DAY in stamps
    np.testing.assert_array_equal(samples.labels, rows["label"].to_numpy()[expected])
    assert samples.vectors.shape == (100, 26)
    assert samples.vectors.dtype == np.float32


def test_window_without_rows_says_what_to_do() -> None:
    with pytest.raises(TrainingDataError, match=r"0 rows from 2014-01-01 00:00 .* materialize more days"):
        window(synthetic_rows(100), INPUTS, start=START.replace(year=2014), end=START.replace(year=2015))


def test_window_with_one_label_trains_nothing() -> None:
    rows = synthetic_rows(100).with_columns(label=pl.lit(0, pl.Int8))

    with pytest.raises(TrainingDataError, match=r"100 rows .* fewer than two labels"):
        window(rows, INPUTS, start=START, end=START + 10 * DAY)
