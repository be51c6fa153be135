"""A few rows are encoded value by value: the same bytes as by columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.features.encode import encode
from orchestration.features.live.history import Row
from orchestration.features.live.rows import encoded
from orchestration.features.redis_pipeline import hset
from orchestration.features.views import BY_NAME, GLOBAL_KEY, PROJECT
from tests.orchestration.features.live.feeds import layouts

POLARS: dict[str, Any] = {"float32": pl.Float32(), "int64": pl.Int64(), "instants": pl.List(pl.Float64())}
VALUES: dict[str, Any] = {
    "float32": st.none() | st.floats(width=32, allow_nan=False),
    "int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "instants": st.none() | st.lists(st.floats(allow_nan=False), max_size=4),
}
TIMES = st.integers(-3_000_000_000_000_000, 3_000_000_000_000_000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(deadline=None)
@given(st.data())
def test_the_commands_are_those_of_columns(data: Any) -> None:
    layout = data.draw(st.sampled_from(layouts()))
    view = BY_NAME[layout.name]
    features = dict(view.features)
    row = st.builds(Row, TIMES, st.tuples(*(VALUES[dtype] for dtype in features.values())))
    rows = data.draw(st.dictionaries(st.tuples(*(TEXT for _ in view.join_keys)), row, min_size=1, max_size=3))
    frame = pl.DataFrame(
        {
            "event_timestamp": pl.Series(
                [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.at_us) for row in rows.values()],
                dtype=pl.Datetime("us", "UTC"),
            ),
            **{name: pl.Series([key[i] for key in rows], dtype=pl.String) for i, name in enumerate(view.join_keys)},
            GLOBAL_KEY: pl.Series([""] * len(rows)),
            **{
                name: pl.Series([row.values[i] for row in rows.values()], dtype=POLARS[dtype])
                for i, (name, dtype) in enumerate(features.items())
            },
        }
    )
    by_columns = hset(*encode(frame, layout, PROJECT))
    assert b"".join(encoded(rows, layout, PROJECT).packed()) == b"".join(by_columns.packed())
