"""Made-up windows."""

import numpy as np
import polars as pl

from orchestration.drift.figures import DriftFigures, Said
from orchestration.drift.report import Comparison


def window(seed: int, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Two normal columns; `delay` lies around `shift`."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"delay": rng.normal(shift, 1, rows), "distance": rng.normal(0, 1, rows)})


def figures_of(compared: Comparison, *, name: str = "x", rows: int = 0, end: str = "") -> DriftFigures:
    """Figures of a comparison with nothing else known."""
    return DriftFigures(
        name=name,
        reference="the usual",
        current="what is asked about",
        rows=rows,
        reference_rows=0,
        verdict=Said(outcome="pass", reason="as was said"),
        share=len(compared.drifted) / len(compared.psi.value),
        psi=compared.psi,
        drifted=compared.drifted,
        without_values=compared.without_values,
        end=end,
        hours=24.0 if end else 0.0,
    )
