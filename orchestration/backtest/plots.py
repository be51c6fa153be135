"""The backtest's pictures."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration.backtest.results import Results, median_delay
from orchestration.drift.folder import write_whole
from orchestration.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
MARKS = {
    "retrained": ("#a60", "v", "asked for a model"),
    "promoted": ("#274", "^", "promoted"),
    "rolled back": ("#c22", "x", "rolled back"),
}


def write_plots(results: Results, folder: Path) -> Sequence[Path]:
    """Write `backtest-year.png` and `backtest-faults.png`; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"backtest-year.png": year_plot(results), "backtest-faults.png": faults_plot(results)}
    for name, figure in figures.items():
        # without the version of the library, which would make the same picture another file
        save = partial(figure.savefig, format="png", dpi=DPI, metadata={"Software": None})
        write_whole(folder / name, save)
    return [folder / name for name in figures]


def year_plot(results: Results) -> "Figure":
    """Log-loss by week above, below what it is over weekly retraining's; events are marked where they happened."""
    figure = new_figure(9.0, 6.0)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    days = [week.first for week in results.weeks]
    regimes = (
        ("frozen", "#999", "frozen"),
        ("ours", "#135", "the platform"),
        ("weekly", "#d80", "retrained every week"),
    )
    for name, colour, label in regimes:
        above.plot(days, [getattr(week, name) for week in results.weeks], color=colour, label=label, linewidth=1.4)
    for name, colour, _ in regimes[:2]:
        over = [getattr(week, name) - week.weekly for week in results.weeks]
        below.plot(days, over, color=colour, drawstyle="steps-post")
    _mark(below, results)
    above.set_ylabel("log-loss of the week, nats a row")
    below.set_ylabel("over weekly retraining's")
    below.axhline(0, color="#d80", linewidth=0.8, label="retrained every week")
    above.legend(fontsize=8)
    below.legend(fontsize=8, loc="upper right")
    above.set_title(
        f"{results.share:.0%} of weekly retraining's gain with {len(results.retrains)} retrains of {len(results.weeks)}",
        fontsize=10,
    )
    return figure


def faults_plot(results: Results) -> "Figure":
    """Every twin run's delay in hours of event time, on a logarithmic axis; the bar is the median."""
    names = list(results.faults)[::-1]
    figure = new_figure(8.0, 0.9 + 0.32 * len(names))
    axes = figure.subplots()
    for place, name in enumerate(names):
        runs = results.faults[name]
        hours = [run.delay.total_seconds() / 3600 for run in runs if run.delay is not None]
        axes.plot(hours, [place] * len(hours), "o", color="#135", markersize=5, alpha=0.6)
        if (middle := median_delay([run.delay for run in runs])) is not None:
            axes.plot([middle.total_seconds() / 3600], [place], "|", color="#c22", markersize=16, markeredgewidth=2)
        else:
            axes.text(1.0, place, "most runs not caught", va="center", fontsize=8, color="#c22")
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlim(0.8, 400)
    axes.set_xlabel("hours of event time until the first alarm that the clean twin lacks; red: median")
    axes.tick_params(labelsize=8)
    return figure


def _mark(axes: "Axes", results: Results) -> None:
    for what, (colour, marker, label) in MARKS.items():
        at = np.array(
            [event.at.replace(tzinfo=None) for event in results.events if event.what == what], "datetime64[s]"
        )
        if len(at):
            axes.plot(at, [0] * len(at), marker, color=colour, label=label, markersize=6)
