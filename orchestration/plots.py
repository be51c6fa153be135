"""Small plots for asset metadata: a figure as inline markdown, which the Dagster UI shows without a file server.

Build a figure with `new_figure`, never with pyplot: pyplot keeps every figure in global state.
"""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 80


def new_figure(width_in: float = 7.0, height_in: float = 2.6) -> "Figure":
    """An empty figure on the Agg canvas, sized in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="tight")
    FigureCanvasAgg(figure)
    return figure


def figure_markdown(figure: "Figure") -> str:
    """The figure as a markdown image with its PNG inside (10 to 20 KB), for `dg.MetadataValue.md`."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    return f"![plot](data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()})"
