"""What retraining gained, in log-loss on the same requests."""

import numpy as np

from orchestration.backtest.world import Floats
from orchestration.health.windows import CLIP


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Negative log-likelihood of each row in nats, clipped as the health of windows is. Shapes [n]."""
    p = np.clip(scores, CLIP, 1 - CLIP)
    losses: Floats = -np.where(labels == 1, np.log(p), np.log1p(-p))
    return losses


def share_of_gain(frozen: Floats, ours: Floats, best: Floats) -> float:
    """Of the mean log-loss by which `best` is below `frozen`, the share that `ours` is. Losses of the same rows, [n].

    Raises ValueError where `best` is no better than `frozen`: there is nothing to share.
    """
    whole = float(frozen.mean() - best.mean())
    if whole <= 0:
        raise ValueError(f"weekly retraining gained {whole:.4f} nats a row over the frozen model: nothing to share")
    return float(frozen.mean() - ours.mean()) / whole
