"""A small world whose labels follow known chances: requests every two minutes, a model that knows the chances."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from orchestration.backtest.world import Floats, World
from orchestration.features.views import LEAD


def world_of(start: datetime, chances: Floats, seed: int = 5) -> World:
    """Requests whose label is 1 with the given chances, [n]."""
    n = len(chances)
    numbers = pl.int_range(n, eager=True)
    rows = pl.DataFrame({"request_id": numbers.cast(pl.String)}).with_columns(
        sched_dep=pl.lit(start) + numbers * timedelta(minutes=2),
        origin=pl.lit("JFK"),
        carrier=pl.lit("UA"),
        dest=pl.lit("BOS"),
        tailnum=pl.format("N{}", numbers % 97),
    )
    rows = rows.with_columns(event_timestamp=pl.col("sched_dep") - LEAD)
    labels = (np.random.default_rng(seed).random(n) < chances).astype(np.float64)
    return World(rows, (), np.zeros((n, 0), np.float32), labels)
