"""The stream's model and the weaker one beside it."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from orchestration.ingestion.source import SourceError
from orchestration.rollout.simulation.flights import Flights, auc, read_flights, recalibrated, sigmoid, weaker


def test_the_auc_is_scikit_learns(made_up_flights: Flights) -> None:
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

    expected = roc_auc_score(made_up_flights.labels, made_up_flights.log_odds)
    assert auc(made_up_flights.labels, made_up_flights.log_odds) == pytest.approx(expected)


def test_recalibration_is_a_logistic_regression(made_up_flights: Flights) -> None:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    x, labels = 2 * made_up_flights.log_odds + 1, made_up_flights.labels
    fitted = LogisticRegression(C=np.inf).fit(x[:, None], labels)
    expected = fitted.coef_[0, 0] * x + fitted.intercept_[0]
    assert recalibrated(x, labels) == pytest.approx(expected, abs=2e-3)


def test_the_weaker_model_has_lost_what_is_asked_and_is_calibrated(made_up_flights: Flights) -> None:
    labels = made_up_flights.labels
    weak = weaker(made_up_flights, 0.03, np.random.default_rng(1))
    assert auc(labels, made_up_flights.log_odds) - auc(labels, weak) == pytest.approx(0.03, abs=1e-3)
    assert sigmoid(weak).mean() == pytest.approx(labels.mean(), abs=1e-6)


def test_without_source_tables_there_are_no_flights(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"flights\.csv"):
        read_flights(tmp_path / "lake", source=tmp_path)


@pytest.mark.integration  # it makes features of some weeks and trains
def test_flights_are_the_requests_after_what_the_model_learned_in_their_order(tmp_path: Path) -> None:
    flights = read_flights(tmp_path / "lake", learned=date(2013, 1, 20), last=date(2013, 1, 27), rounds=20)
    assert 4000 < len(flights.labels) == len(flights.log_odds) == len(flights.key) < 7000
    assert set(flights.labels) == {0.0, 1.0}
    assert auc(flights.labels, flights.log_odds) > 0.65
    assert flights.key.max() == len(flights.keys) - 1
    assert all(key.startswith("N") or key.isalnum() for key in flights.keys)
