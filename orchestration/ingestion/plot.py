"""What a range of raw flights looks like: flights a day, and how many of them were late or cancelled."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from orchestration.ingestion.partitions import read_partitions
from orchestration.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Longer ranges show their end.
SHOWN_DAYS = 92
LATE_MIN = 15


def flights_by_day(folder: Path, days: list[date]) -> "Figure":
    """A bar a day of `days` (in order, all of them stored in `folder`): flights, and the share late or cancelled."""
    shown = days[-SHOWN_DAYS:]
    frames = (read_partitions(folder, day, date.fromordinal(day.toordinal() + 1)) for day in shown)
    counts = [
        frame.select(n=pl.len(), cancelled=pl.col("cancelled").sum(), late=(pl.col("dep_delay") > LATE_MIN).sum()).row(
            0
        )
        for frame in frames
    ]
    n, cancelled, late = zip(*counts, strict=True)
    figure = new_figure()
    axes = figure.add_subplot()
    axes.bar(shown, n, color="#c6d4e1", label="flights")  # type: ignore[arg-type]
    axes.bar(shown, [a + b for a, b in zip(late, cancelled, strict=True)], color="#e0a458", label="late by > 15 min")  # type: ignore[arg-type]
    axes.bar(shown, cancelled, color="#a33b20", label="cancelled")  # type: ignore[arg-type]
    axes.legend(ncols=3, fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="x", rotation=30)
    return figure
