"""How a model did in one window of labelled scores."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from orchestration.training.evaluation import calibration_bins

# Scores closer to 0 or 1 count as this close: one certain score that is wrong would make the log-loss infinite.
CLIP = 1e-6


@dataclass(frozen=True)
class WindowHealth:
    """Of `rows` labelled scores; every figure is a mean over them.

    `log_loss`: negative log-likelihood in nats. `expected_log_loss`: what it would be if the scores were calibrated, the
    mean entropy H(p) = -p ln p - (1 - p) ln(1 - p). `brier`: squared error; `auc`: area under the ROC curve, None where one
    label only occurs. `calibration_bias`: mean score minus share of label 1; above 0 the model warns too often.
    `calibration_error`: see `training.evaluation.CalibrationBins.error`.

    `surprise_noise` and `bias_noise` are the standard deviations that surprise and calibration bias would have if the
    scores were calibrated and the labels independent: D. J. Spiegelhalter, "Probabilistic prediction in patient management
    and clinical trials", Statistics in Medicine 5, 1986, section 3.2, for the logarithmic score instead of Brier's.
    """

    rows: int
    log_loss: float
    expected_log_loss: float
    brier: float
    auc: float | None
    calibration_bias: float
    calibration_error: float
    label_share: float
    mean_score: float
    surprise_noise: float
    bias_noise: float

    @property
    def surprise(self) -> float:
        """Log-loss minus expected log-loss, in nats a row: 0 on average where the scores are calibrated.

        A hard week raises both alike, a model that no longer fits the world raises the first alone. It is the mean
        of (p - y) ln(p / (1 - p)): the calibration part of the score (A. P. Dawid, "The well-calibrated Bayesian", JASA 77,
        1982).
        """
        return self.log_loss - self.expected_log_loss


def window_health(labels: NDArray[np.number], scores: NDArray[np.floating]) -> WindowHealth:
    """Judge `scores` [n], probabilities of label 1, by `labels` [n] of 0 and 1.

    Raises:
        ValueError: the lengths differ, there is no row, a score is not a probability, or a label is not 0 or 1.
    """
    truth, said = _checked(labels, scores)
    p = np.clip(said, CLIP, 1 - CLIP)
    log_odds = np.log(p) - np.log1p(-p)
    variance = p * (1 - p)
    return WindowHealth(
        rows=len(truth),
        log_loss=float(-np.mean(np.where(truth == 1, np.log(p), np.log1p(-p)))),
        expected_log_loss=expected_log_loss(said),
        brier=float(np.mean((said - truth) ** 2)),
        auc=_auc(truth, said),
        calibration_bias=float(said.mean() - truth.mean()),
        calibration_error=calibration_bins(truth, said).error,
        label_share=float(truth.mean()),
        mean_score=float(said.mean()),
        surprise_noise=math.sqrt(float(np.sum(variance * log_odds**2))) / len(truth),
        bias_noise=math.sqrt(float(np.sum(variance))) / len(truth),
    )


def expected_log_loss(scores: NDArray[np.floating]) -> float:
    """Mean entropy in nats of `scores` [n]: the log-loss to expect of them, were they calibrated."""
    p = np.clip(np.asarray(scores, np.float64), CLIP, 1 - CLIP)
    return float(-np.mean(p * np.log(p) + (1 - p) * np.log1p(-p)))


def window_days(day: date, length: int) -> tuple[date, date]:
    """The window of `length` days that holds `day`, [first, end): windows follow one another from the year 1 on.

    Those of seven days begin on Mondays. They do not depend on when one looks, so a window's verdict is the same again.
    """
    first = day - timedelta(days=(day.toordinal() - 1) % length)
    return first, first + timedelta(days=length)


def _checked(
    labels: NDArray[np.number], scores: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    truth, said = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if truth.shape != said.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and scores {said.shape} must be one column of the same length")
    if not len(truth):
        raise ValueError("a window without rows has no health")
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError("scores must be probabilities from 0 to 1")
    if not ((truth == 0) | (truth == 1)).all():
        raise ValueError("labels must be 0 or 1")
    return truth, said


def _auc(truth: NDArray[np.float64], said: NDArray[np.float64]) -> float | None:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, said)) if truth.min() != truth.max() else None
