"""What a model leans on, measured the same way for every recipe."""

from collections.abc import Sequence

import numpy as np

from orchestration.training.onnx_model import score
from orchestration.training.recipe import Samples
from serving_gateway.contracts import Input

# Enough for two figures of a difference; every row is scored once an input.
ROWS = 4000
SEED = 2013
_SMALLEST = 1e-7  # below a float32's resolution of 1 - score


def permutation_importance(onnx: bytes, samples: Samples, inputs: Sequence[Input]) -> dict[str, float]:
    """Input name to the rise of log-loss (nats) when that input's values are dealt out anew among the rows.

    At or below 0: the model does as well without it. L. Breiman, "Random Forests", Machine Learning 45, 2001, section
    10. On `ROWS` of the samples at most, drawn by seed.
    """
    rng = np.random.default_rng(SEED)
    drawn = rng.permutation(len(samples.labels))[:ROWS]
    vectors, labels = samples.vectors[drawn], samples.labels[drawn]
    unshuffled = _log_loss(onnx, Samples(vectors, labels))
    rises = {}
    for column, i in enumerate(inputs):
        dealt = vectors.copy()
        dealt[:, column] = rng.permutation(dealt[:, column])
        rises[i.name] = _log_loss(onnx, Samples(dealt, labels)) - unshuffled
    return rises


def _log_loss(onnx: bytes, samples: Samples) -> float:
    said = np.clip(score(onnx, samples.vectors).astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    return float(-np.mean(np.log(np.where(samples.labels == 1, said, 1 - said))))
