"""The drift report at a glance: PSI by feature, with what is usual for each."""

from typing import TYPE_CHECKING

from orchestration.drift.figures import DriftFigures
from orchestration.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST_SHOWN = 0.01


def psi_plot(figures: DriftFigures) -> "Figure":
    """A bar a column on a logarithmic axis, the farthest above its threshold first; the tick marks its threshold."""
    names = figures.psi.worst_first[::-1]
    figure = new_figure(7.0, 0.8 + 0.19 * len(names))
    axes = figure.add_subplot()
    drifted = set(figures.drifted)
    psi = [max(figures.psi.value[name], _LEAST_SHOWN) for name in names]
    axes.barh(names, psi, color=["#c44" if name in drifted else "#8ab" for name in names])
    axes.plot([figures.psi.limit[name] for name in names], names, "k|", markersize=9, label="drifted from here")
    axes.set_xscale("log")
    axes.set_xlim(left=_LEAST_SHOWN)
    axes.set_xlabel("population stability index (PSI)")
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, loc="lower right")
    return figure
