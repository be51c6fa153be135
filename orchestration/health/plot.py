"""The model's health at a glance: what each day's labels say, and from where it would be bad."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestration.health.report import HealthReport
from orchestration.health.windows import WindowHealth
from orchestration.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"good": "#4a4", "bad": "#c44", "inconclusive": "#999"}


def health_plot(report: HealthReport) -> "Figure":
    """Surprise and calibration bias: a point a day, a bar a judged window in the colour of its verdict, thresholds."""
    figure = new_figure(7.0, 4.0)
    limits = report.thresholds
    above, below = figure.subplots(2, 1, sharex=True)
    _draw(above, report, lambda health: health.surprise, "surprise (nats a row)")
    _draw(below, report, lambda health: health.calibration_bias, "calibration bias")
    for axes, bounds in ((above, [limits.surprise]), (below, [-limits.bias, limits.bias])):
        for bound in bounds if limits.enough else []:
            axes.axhline(bound, color="black", linestyle=":", linewidth=1)
    below.tick_params(axis="x", labelrotation=30, labelsize=7)
    return figure


def _draw(axes: "Axes", report: HealthReport, value: Callable[[WindowHealth], float], name: str) -> None:
    axes.axhline(0, color="#ccc", linewidth=1)
    days = [(day.day, value(day.figures.health)) for day in report.days]
    axes.plot([day for day, _ in days], [figure for _, figure in days], ".", color="#8ab")  # type: ignore[arg-type]
    for window in report.windows:
        if window.figures is not None:
            level, colour = value(window.figures.health), _COLOURS[window.verdict.outcome]
            axes.plot([window.verdict.first, window.verdict.end], [level, level], color=colour, linewidth=3)  # type: ignore[arg-type]
    axes.set_ylabel(name, fontsize=8)
    axes.tick_params(labelsize=7)
