"""How good scores are against labels that came later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True)
class Metrics:
    """Of `rows` labelled scores.

    `auc`: area under the ROC curve. `log_loss`: mean negative log-likelihood in nats. `brier`: mean squared error
    (G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950).
    `brier_skill`: 1 - brier / brier of the labels' own base rate (A. H. Murphy, "Hedging and skill scores for
    probability forecasts", Journal of Applied Meteorology 12, 1973); 0 knows no more than that rate, 1 knows all.
    `calibration_bias`: mean score minus share of label 1; above 0 the model warns too often. `calibration_error`: see
    `CalibrationBins.error`.
    """

    rows: int
    auc: float
    log_loss: float
    brier: float
    brier_skill: float
    calibration_bias: float
    calibration_error: float


@dataclass(frozen=True)
class CalibrationBins:
    """Rows in groups of like scores: number of `rows`, mean `score` and share of label 1 (`observed`), each [bins]."""

    rows: NDArray[np.int64]
    score: NDArray[np.float64]
    observed: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over the rows of |score - observed| of their bin.

        With bins of equal mass, not of equal width: K. Nguyen and B. O'Connor, "Posterior calibration and exploratory
        analysis for natural language processing models", EMNLP 2015, section 3.
        """
        return float(np.abs(self.score - self.observed) @ self.rows / self.rows.sum())


def calibration_bins(labels: NDArray[np.number], scores: NDArray[np.floating]) -> CalibrationBins:
    """Rows sorted by score into `BINS` groups of equal size; fewer where there are fewer rows than that."""
    order = np.argsort(scores, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    return CalibrationBins(
        rows=np.array([len(group) for group in groups], np.int64),
        score=np.array([scores[group].mean() for group in groups], np.float64),
        observed=np.array([labels[group].mean() for group in groups], np.float64),
    )


def evaluate(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> Metrics:
    """Judge `scores` [n], probabilities of label 1, by `labels` [n] of 0 and 1.

    Raises:
        ValueError: the lengths differ, a score is not a probability, or only one label occurs.
    """
    from sklearn.metrics import log_loss, roc_auc_score

    truth, said = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if truth.shape != said.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and scores {said.shape} must be one column of the same length")
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError("scores must be probabilities from 0 to 1")
    if set(np.unique(truth)) != {0.0, 1.0}:
        raise ValueError(f"labels must hold both 0 and 1, got {np.unique(truth).tolist()}")
    brier = float(np.mean((said - truth) ** 2))
    return Metrics(
        rows=len(truth),
        auc=float(roc_auc_score(truth, said)),
        log_loss=float(log_loss(truth, said)),
        brier=brier,
        brier_skill=1 - brier / float(truth.var()),  # the base rate's own Brier score is the labels' variance
        calibration_bias=float(said.mean() - truth.mean()),
        calibration_error=calibration_bins(truth, said).error,
    )
