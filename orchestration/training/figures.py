"""The plots that a model's owner looks at first."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestration.plots import new_figure
from orchestration.training.evaluation import calibration_bins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOP = 15
_LEVELS = np.linspace(0, 1, 21).tolist()


def calibration_curve(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> "Figure":
    """What is said against what happens, in ten groups of like scores; on the diagonal the model keeps its word."""
    bins = calibration_bins(labels, scores)
    figure = new_figure(5.0, 4.2)
    curve, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    curve.plot((0, 1), (0, 1), color="0.7", linewidth=1)
    curve.plot(bins.score, bins.observed, marker="o", markersize=4)
    curve.set(
        ylabel="share of label 1", ylim=(0, 1), title=f"Calibration on {bins.rows.sum():,} rows, error {bins.error:.3f}"
    )
    counts.hist(scores, bins=_LEVELS, color="0.6")
    counts.set(xlabel="score", ylabel="rows", xlim=(0, 1))
    return figure


def score_histogram(labels: NDArray[np.integer], scores: NDArray[np.floating]) -> "Figure":
    """Scores of the rows of either label."""
    figure = new_figure()
    axes = figure.subplots()
    for label in (0, 1):
        axes.hist(scores[labels == label], bins=_LEVELS, histtype="step", density=True, label=f"label {label}")
    axes.set(xlabel="score", ylabel="density", xlim=(0, 1), title="Scores by label")
    axes.legend()
    return figure


def importance_bars(importance: Mapping[str, float]) -> "Figure":
    """The inputs that matter most: rise of log-loss when an input is shuffled."""
    top = sorted(importance.items(), key=lambda item: item[1])[-TOP:]
    figure = new_figure(6.0, 0.9 + 0.2 * len(top))
    axes = figure.subplots()
    axes.barh([name for name, _ in top], [rise for _, rise in top])
    axes.set(xlabel="rise of log-loss when shuffled (nats)", title="Feature importance")
    return figure
