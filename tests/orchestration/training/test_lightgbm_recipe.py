from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from orchestration.training.evaluation import evaluate
from orchestration.training.lightgbm_recipe import TrainingDataError, train, window
from orchestration.training.onnx_model import score, to_onnx
from tests.synthetic import START, synthetic_inputs, synthetic_rows

DAY = timedelta(days=1)


def test_window_is_half_open() -> None:
    rows = synthetic_rows(1000, days=10)

    samples = window(rows, synthetic_inputs(), start=START + DAY, end=START + 2 * DAY)

    stamps = rows["event_timestamp"].to_list()
    expected = [i for i, t in enumerate(stamps) if START + DAY <= t < START + 2 * DAY]
    assert START + DAY in stamps
    assert START + 2 * DAY in stamps
    np.testing.assert_array_equal(samples.labels, rows["label"].to_numpy()[expected])
    assert samples.vectors.shape == (100, 26)
    assert samples.vectors.dtype == np.float32


def test_window_without_rows_says_what_to_do() -> None:
    with pytest.raises(TrainingDataError, match=r"0 rows from 2014-01-01 00:00 .* materialize more days"):
        window(
            synthetic_rows(100),
            synthetic_inputs(),
            start=START.replace(year=2014),
            end=START.replace(year=2015),
        )


def test_window_with_one_label_trains_nothing() -> None:
    rows = synthetic_rows(100).with_columns(label=pl.lit(0, pl.Int8))

    with pytest.raises(TrainingDataError, match=r"100 rows .* fewer than two labels"):
        train(rows, synthetic_inputs(), start=START, end=START + 10 * DAY)


def test_same_rows_give_the_same_artifact_bit_for_bit() -> None:
    first, second = (
        train(synthetic_rows(), synthetic_inputs(), start=START, end=START + 8 * DAY, rounds=30) for _ in range(2)
    )

    np.testing.assert_array_equal(first.scores, second.scores)
    assert to_onnx(first.booster, width=26) == to_onnx(second.booster, width=26)


def test_training_learns_what_is_there_to_learn() -> None:
    rows, inputs = synthetic_rows(), synthetic_inputs()
    trained = train(rows, inputs, start=START, end=START + 8 * DAY, rounds=60)
    later = window(rows, inputs, start=START + 8 * DAY, end=START + 10 * DAY)

    metrics = evaluate(later.labels, score(to_onnx(trained.booster, width=26), later.vectors))

    assert metrics.rows == 800
    assert metrics.auc > 0.7
    assert metrics.log_loss < evaluate(later.labels, np.full(800, later.labels.mean())).log_loss


def test_parameters_override_the_recipe() -> None:
    rows, inputs = synthetic_rows(500), synthetic_inputs()

    trained = train(rows, inputs, start=START, end=START + 10 * DAY, parameters={"num_leaves": 2}, rounds=3)

    assert [tree["num_leaves"] for tree in trained.booster.dump_model()["tree_info"]] == [2, 2, 2]
