"""Views as the lake holds them, a row an hour, with values that are easy to tell apart."""

from datetime import UTC, datetime, timedelta

import polars as pl

from orchestration.features.views import VIEWS

BEGAN = datetime(2013, 5, 1, tzinfo=UTC)
SINCE = BEGAN + timedelta(hours=12)
HOURS = 24
ORIGINS = ("EWR", "JFK")


def small_views() -> dict[str, pl.DataFrame]:
    """Every view, a row for each hour and origin (the other keys do not vary), sorted."""
    hours = pl.DataFrame({"event_timestamp": [BEGAN + timedelta(hours=hour) for hour in range(HOURS)]})
    rows = hours.join(pl.DataFrame({"origin": ORIGINS}), how="cross").with_row_index("row")
    frames = {}
    for view in VIEWS:
        keys = [pl.lit("x").alias(key) for key in view.columns[1 : -len(view.features)] if key != "origin"]
        columns = []
        for number, (name, dtype) in enumerate(view.features):
            match dtype:
                case "float32":
                    column = (pl.col("row") * 0.5 + number).cast(pl.Float32)
                case "int64":
                    column = pl.col("event_timestamp").dt.epoch("s")
                case _:
                    column = pl.concat_list(pl.col("event_timestamp").dt.epoch("s").cast(pl.Float64))
            columns.append(column.alias(name))
        frames[view.name] = rows.with_columns(*keys, *columns).select(view.columns)
    return frames
