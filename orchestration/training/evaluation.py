"""How good scores are against labels that came later."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """Of `rows` labelled scores.

    `auc`: area under the ROC curve. `log_loss`: mean negative log-likelihood in nats. `brier`: mean squared error.
    `calibration_bias`: mean score minus share of label 1; above 0 the model warns too often.
    """

    rows: int
    auc: float
    log_loss: float
    brier: float
    calibration_bias: float


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
    return Metrics(
        rows=len(truth),
        auc=float(roc_auc_score(truth, said)),
        log_loss=float(log_loss(truth, said)),
        brier=float(np.mean((said - truth) ** 2)),
        calibration_bias=float(said.mean() - truth.mean()),
    )
