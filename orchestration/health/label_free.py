"""How well a model would do if its scores were calibrated: known before any label is, and shown with its record.

Confidence-based performance estimation: J. Białek, W. Kuberski, N. Perrakis and A. Bifet, "Estimating model performance
under covariate shift without labels", arXiv 2401.08348, 2024, section 4. It cannot see that a model has lost its
calibration, so it leads and never decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestration.health.windows import CLIP, WindowHealth, expected_log_loss

Figure = Literal["log_loss", "brier", "auc"]
FIGURES: tuple[Figure, ...] = ("log_loss", "brier", "auc")
# Normal quantile of an interval that would hold 95 of 100 realised values, were the model calibrated.
WIDTH = 1.96


@dataclass(frozen=True)
class Estimate:
    """The expected `value` of a figure, and the standard deviation of the realised one around it."""

    value: float
    deviation: float

    @property
    def interval(self) -> tuple[float, float]:
        """Lowest and highest value that is to be expected."""
        return self.value - WIDTH * self.deviation, self.value + WIDTH * self.deviation


@dataclass(frozen=True)
class TrackRecord:
    """Of past windows: share whose realised value lay in the interval, and mean realised minus estimated value.

    The intervals are made for a coverage of .95.
    """

    windows: int
    coverage: float
    optimism: float


def estimated(scores: NDArray[np.floating]) -> Mapping[Figure, Estimate]:
    """Expected log-loss (nats), Brier score and AUC of `scores` [n], probabilities of label 1, without their labels.

    A label is 1 with chance p, independent of all others. Log-loss then has mean H(p) and variance
    p (1 - p) ln^2(p / (1 - p)) a row, the Brier score p (1 - p) and p (1 - p) (1 - 2p)^2. The AUC is that of every row
    as a 1 with weight p and a 0 with weight 1 - p; its deviation: J. A. Hanley and B. J. McNeil, "The meaning and use of the
    area under a ROC curve", Radiology 143, 1982, formula 2. It is left out of a single score.

    Raises ValueError where there are none.
    """
    p = np.clip(np.asarray(scores, np.float64), CLIP, 1 - CLIP)
    if not len(p):
        raise ValueError("without scores nothing can be estimated")
    variance = p * (1 - p)
    log_odds = np.log(p) - np.log1p(-p)
    found: dict[Figure, Estimate] = {
        "log_loss": Estimate(expected_log_loss(p), _deviation(variance * log_odds**2)),
        "brier": Estimate(float(variance.mean()), _deviation(variance * (1 - 2 * p) ** 2)),
    }
    return found | {"auc": _auc(p)} if len(p) > 1 else found


def track_record(past: Sequence[tuple[Mapping[Figure, Estimate], WindowHealth]]) -> Mapping[Figure, TrackRecord]:
    """How the estimates of past windows compare with what came true; a figure of which no window knows both has no record."""
    found = {figure: _record(figure, past) for figure in FIGURES}
    return {figure: record for figure, record in found.items() if record is not None}


def _record(figure: Figure, past: Sequence[tuple[Mapping[Figure, Estimate], WindowHealth]]) -> TrackRecord | None:
    known = [(e[figure], getattr(health, figure)) for e, health in past if figure in e]
    pairs = [(estimate, float(value)) for estimate, value in known if value is not None]
    if not pairs:
        return None
    inside = [low <= value <= high for (low, high), value in ((e.interval, value) for e, value in pairs)]
    beyond = [value - estimate.value for estimate, value in pairs]
    return TrackRecord(len(pairs), float(np.mean(inside)), float(np.mean(beyond)))


def _deviation(variances: NDArray[np.float64]) -> float:
    return math.sqrt(float(variances.sum())) / len(variances)


def _auc(p: NDArray[np.float64]) -> Estimate:
    from sklearn.metrics import roc_auc_score

    ones, zeros = float(p.sum()), float((1 - p).sum())
    labels = np.repeat([1, 0], len(p))
    auc = float(roc_auc_score(labels, np.tile(p, 2), sample_weight=np.concatenate([p, 1 - p])))
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    square = auc * (1 - auc) + (ones - 1) * (q1 - auc**2) + (zeros - 1) * (q2 - auc**2)
    return Estimate(auc, math.sqrt(max(square, 0.0) / (ones * zeros)))
