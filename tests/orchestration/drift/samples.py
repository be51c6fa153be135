"""Made-up windows."""

import numpy as np
import polars as pl


def window(seed: int, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Two normal columns; `delay` lies around `shift`."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"delay": rng.normal(shift, 1, rows), "distance": rng.normal(0, 1, rows)})
