"""A few rows are encoded value by value: the same bytes as by columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.features import encode as module
from orchestration.features.encode import encode
from orchestration.features.views import GLOBAL_KEY, PROJECT
from tests.orchestration.features.live.feeds import layouts

POLARS: dict[str, Any] = {"float": pl.Float32(), "int64": pl.Int64(), "double_list": pl.List(pl.Float64())}
VALUES: dict[str, Any] = {
    "float": st.none() | st.floats(width=32),
    "int64": st.none() | st.integers(-(2**63), 2**63 - 1),
    "double_list": st.none() | st.lists(st.none() | st.floats(), max_size=4),
}
TIMES = st.integers(-3_000_000_000_000_000, 3_000_000_000_000_000).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_the_bytes_are_those_of_columns(data: Any) -> None:
    layout = data.draw(st.sampled_from(layouts()))
    n = data.draw(st.integers(0, 3))

    def column(values: Any) -> list[Any]:
        return data.draw(st.lists(values, min_size=n, max_size=n))

    frame = pl.DataFrame(
        {
            "event_timestamp": pl.Series(column(TIMES), dtype=pl.Datetime("us", "UTC")),
            **{key: pl.Series(column(KEYS), dtype=pl.String) for key in (*layout.join_keys, GLOBAL_KEY)},
            **{f.name: pl.Series(column(VALUES[f.dtype]), dtype=POLARS[f.dtype]) for f in layout.features},
        }
    )
    few = encode(frame, layout, PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FEW", -1)
        assert few == encode(frame, layout, PROJECT)
