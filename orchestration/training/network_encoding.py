"""How a vector enters the network: every number as its place among the training rows' quantiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving_gateway.contracts import Input

BINS = 8


@dataclass(frozen=True)
class Encoding:
    """Piecewise-linear numbers, one-hot categories, an indicator for every missing value.

    Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022,
    section 3.2.1.
    Bin b of the input `columns[b]` is filled from 0 to 1 as the value passes from `lower[b]` to `lower[b] + span[b]`.
    So nothing has to be standardised, and no outlier, infinity included, leaves [0, 1]. Category `categories[c]` lights
    up where it equals `codes[c]`. A missing value fills no bin and no category.
    """

    columns: NDArray[np.int64]
    lower: NDArray[np.float32]
    span: NDArray[np.float32]
    categories: NDArray[np.int64]
    codes: NDArray[np.float32]

    @classmethod
    def learn(cls, vectors: NDArray[np.float32], inputs: Sequence[Input]) -> "Encoding":
        """Bins of equal mass from float32 [n, k]; ties make fewer bins, a constant or empty input none."""
        columns: list[int] = []
        lower: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        span: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
        hot = [(j, code) for j, i in enumerate(inputs) for code in range(len(i.vocabulary))]
        for column, i in enumerate(inputs):
            values = vectors[:, column]
            values = values[np.isfinite(values)]
            if i.dtype == "category" or not len(values):
                continue
            edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)).astype(np.float32))
            columns += [column] * (len(edges) - 1)
            lower.append(edges[:-1])
            span.append(np.diff(edges))
        return cls(
            columns=np.array(columns, np.int64),
            lower=np.concatenate(lower),
            span=np.concatenate(span),
            categories=np.array([column for column, _ in hot], np.int64),
            codes=np.array([code for _, code in hot], np.float32),
        )

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, bins + categories + k] of float32 [n, k], in [0, 1], without NaN."""
        values = vectors[:, self.columns]
        with np.errstate(over="ignore", invalid="ignore"):  # what lies far outside its bin is clipped
            filled = np.clip((values - self.lower) / self.span, 0, 1)
        filled = np.where(np.isnan(values), np.float32(0), filled)
        hot = vectors[:, self.categories] == self.codes
        return np.concatenate([filled, hot, np.isnan(vectors)], axis=1, dtype=np.float32)
