import numpy as np
import pytest

from orchestration.backtest.gain import log_losses, share_of_gain


def test_a_row_loses_minus_the_logarithm_of_what_its_label_was_given() -> None:
    losses = log_losses(np.array([1.0, 0.0, 1.0]), np.array([0.25, 0.25, 1.0]))
    assert losses == pytest.approx([np.log(4), -np.log(0.75), 0.0], abs=1e-5)


def test_a_certain_score_that_is_wrong_costs_much_but_not_everything() -> None:
    assert np.isfinite(log_losses(np.array([0.0]), np.array([1.0]))).all()


def test_the_share_is_of_the_mean_over_all_rows() -> None:
    frozen, best = np.array([1.0, 3.0]), np.array([0.0, 2.0])
    assert share_of_gain(frozen, frozen, best) == 0
    assert share_of_gain(frozen, best, best) == 1
    assert share_of_gain(frozen, np.array([1.0, 2.5]), best) == pytest.approx(0.25)
    assert share_of_gain(frozen, np.array([2.0, 3.0]), best) == pytest.approx(-0.5)


def test_without_a_gain_there_is_nothing_to_share() -> None:
    same = np.array([1.0, 2.0])
    with pytest.raises(ValueError, match="nothing to share"):
        share_of_gain(same, same, same)
