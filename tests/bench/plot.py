"""The benchmark as a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from orchestration.plots import new_figure
from tests.bench.rows import Row, by_key
from tests.bench.targets import TARGETS

_SHADES = ("#9ecae1", "#4292c6", "#08519c", "#08306b")
_PANELS: tuple[tuple[str, Callable[[Row], float]], ...] = (
    ("requests per second", lambda row: row.requests_per_second),
    ("median latency, ms", lambda row: row.p50_us / 1000),
    ("CPU per request, µs", lambda row: row.cpu_us_per_request),
)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG: three panels, a group of bars for each target, a bar for each concurrency."""
    names = [name for name in TARGETS if any(row.target == name for row in rows)]
    concurrency = sorted({row.concurrency for row in rows})
    figure = new_figure(11, 0.9 + 0.55 * len(names))
    panels = figure.subplots(1, len(_PANELS), sharey=True, squeeze=False)[0]
    for panel, (title, figure_of) in zip(panels, _PANELS, strict=True):
        _bars(panel, rows, names, concurrency, figure_of)
        panel.set_title(title, fontsize=10)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    panels[-1].legend(fontsize=8, frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _bars(
    panel: Any, rows: Sequence[Row], names: Sequence[str], concurrency: Sequence[int], of: Callable[[Row], float]
) -> None:
    found, height = by_key(rows), 0.8 / len(concurrency)
    for at, c in enumerate(concurrency):
        places = [n - 0.4 + (at + 0.5) * height for n in range(len(names))]
        values = [of(found[name, c]) if (name, c) in found else 0.0 for name in names]
        bars = panel.barh(places, values, height * 0.92, color=_SHADES[at % len(_SHADES)], label=f"c = {c}")
        panel.bar_label(bars, [f"{v:,.{0 if v >= 10 else 1}f}" if v else "" for v in values], fontsize=6.5, padding=2)
    panel.margins(x=0.16)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(axis="both", labelsize=8, length=0)
    panel.grid(axis="x", alpha=0.25)
