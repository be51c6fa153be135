"""Where a day differs: the share of differing rows by feature and hour."""

from typing import TYPE_CHECKING

import numpy as np

from orchestration.features.skew.report import HOURS, SkewReport
from orchestration.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def skew_plot(report: SkewReport) -> "Figure":
    """A line a differing feature, the greatest share on top; a cell an hour (UTC) of event time, white where nobody asked.

    The first hour is 23:00 of the day before, with which the features' day begins.
    """
    features = report.differing
    rows = np.array([f.rows_by_hour for f in features], np.float64)
    differing = np.array([f.differing_by_hour for f in features], np.float64)
    share = np.divide(differing, rows, out=np.full_like(rows, np.nan), where=rows > 0)
    figure = new_figure(7.0, 1.2 + 0.2 * len(features))
    axes = figure.add_subplot()
    drawn = axes.imshow(np.roll(share, 1, axis=1), aspect="auto", cmap="Reds", vmin=0, vmax=1)
    axes.set_yticks(range(len(features)), [f.feature for f in features], fontsize=7)
    axes.set_xticks(range(0, HOURS, 2), [f"{(hour - 1) % HOURS:02}" for hour in range(0, HOURS, 2)])
    axes.tick_params(labelsize=7)
    axes.set_xlabel(f"hour of event time (UTC), {report.day}", fontsize=8)
    bar = figure.colorbar(drawn, ax=axes)
    bar.set_label("share of rows that differ", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure
