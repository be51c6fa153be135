"""The estimate without labels: exact where the scores are calibrated, optimistic where they are not, and it says so."""

import math

import numpy as np
import pytest

from orchestration.health.label_free import FIGURES, estimated, track_record
from orchestration.health.windows import window_health
from tests.orchestration.health.windows import drawn, scores, shifted


def test_an_estimate_by_hand() -> None:
    found = estimated(np.array([0.2, 0.6]))
    assert found["brier"].value == pytest.approx((0.16 + 0.24) / 2)
    assert found["brier"].deviation == pytest.approx(math.sqrt(0.16 * 0.36 + 0.24 * 0.04) / 2)
    assert found["log_loss"].deviation == pytest.approx(
        math.sqrt(0.16 * math.log(4) ** 2 + 0.24 * math.log(1.5) ** 2) / 2
    )
    # pairs of a one and a zero: the later above the earlier .6 * .8, the other way .2 * .4, each against itself a half
    ties = (0.2 * 0.8 + 0.6 * 0.4) / 2
    assert found["auc"].value == pytest.approx((0.6 * 0.8 + ties) / (0.8 * 1.2))


@pytest.mark.parametrize(("log_odds", "covered"), [(0.0, True), (0.5, False)])
def test_the_interval_covers_what_comes_true_only_where_the_scores_are_calibrated(
    log_odds: float, covered: bool
) -> None:
    past = []
    for seed in range(80):
        p = scores(seed, 1000)
        past.append((estimated(p), window_health(drawn(shifted(p, log_odds), seed + 5000), p)))
    record = track_record(past)
    assert set(record) == set(FIGURES)
    assert record["log_loss"].windows == 80
    for figure in ("log_loss", "brier"):
        found = record[figure]  # type: ignore[index]
        if covered:
            # 95 %, give or take four binomial deviations
            assert 0.95 - 0.1 <= found.coverage <= 1
            assert abs(found.optimism) < 4 * past[0][0][figure].deviation / math.sqrt(80)  # type: ignore[index]
        else:
            assert found.coverage < 0.2
            assert found.optimism > 3 * past[0][0][figure].deviation / math.sqrt(80)  # type: ignore[index]
    if covered:
        assert 0.95 - 0.1 <= record["auc"].coverage <= 1
        assert abs(record["auc"].optimism) < 0.008


def test_windows_without_a_realised_figure_do_not_count() -> None:
    p = np.array([0.1, 0.2])
    record = track_record([(estimated(p), window_health(np.array([0, 0]), p))])
    assert set(record) == {"log_loss", "brier"}
    assert record["brier"].windows == 1
    assert track_record([]) == {}


def test_of_nothing_nothing_is_estimated() -> None:
    with pytest.raises(ValueError, match="without scores"):
        estimated(np.array([]))
    assert set(estimated(np.array([0.3]))) == {"log_loss", "brier"}
