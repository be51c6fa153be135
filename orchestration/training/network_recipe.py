"""The GPU-shaped recipe: a small neural network, whose graph is nothing but dense algebra."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestration.training.network_encoding import BINS, Encoding
from orchestration.training.network_onnx import to_onnx
from orchestration.training.recipe import Fitted, Samples
from serving_gateway.contracts import Input

# `max_iter` epochs of Adam: the number is chosen, not waited for.
PARAMETERS: Mapping[str, Any] = {
    "hidden_layer_sizes": (64, 32),
    "alpha": 0.1,
    "learning_rate_init": 1e-3,
    "batch_size": 512,
    "max_iter": 10,
    "random_state": 2013,
}


def fit(samples: Samples, inputs: Sequence[Input], *, parameters: Mapping[str, Any] | None = None) -> Fitted:
    """Train scikit-learn's multi-layer perceptron on the encoded samples and export both as one graph.

    `parameters` override `PARAMETERS`. The same samples and parameters give the same artifact, bit for bit, however many
    cores there are: sums are made by one thread, because their last bits depend on how they are split.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    chosen = {**PARAMETERS, **(parameters or {})}
    chosen["batch_size"] = min(chosen["batch_size"], len(samples.labels))
    encoding = Encoding.learn(samples.vectors, inputs)
    encoded = encoding(samples.vectors)
    network = MLPClassifier(**chosen)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(encoded, samples.labels)
    return Fitted(
        onnx=to_onnx(encoding, list(zip(network.coefs_, network.intercepts_, strict=True)), inputs),
        scores=network.predict_proba(encoded)[:, 1].astype(np.float64),
        parameters={**chosen, "bins": BINS},
    )
