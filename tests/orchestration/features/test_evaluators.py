"""The contract's expressions in columns and in the gateway: the same float32 of the same stored rows, to the bit."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.features.inputs import model_inputs, vectors
from orchestration.features.point_in_time import inputs_at
from orchestration.features.views import VIEWS, View
from serving_gateway.contracts.online_layout import decode_value, encode_value
from serving_gateway.vectors import Vectors
from tests.feature_contracts import contract_over
from tests.orchestration.features.live.feeds import layouts

INPUTS = model_inputs({"carrier": ("AA", "B6"), "origin": ("JFK",)})
LAYOUT_TYPES: dict[str, Any] = {"float32": "float", "int64": "int64", "instants": "double_list"}
CONTRACT = contract_over(layouts(), INPUTS)
T0 = datetime(2013, 6, 1, 12, tzinfo=UTC)
POLARS_TYPES: dict[str, Any] = {"float32": pl.Float32, "int64": pl.Int64, "instants": pl.List(pl.Float64)}
# Offsets that fall on the windows' bounds and beside them.
NEAR = st.sampled_from([s for edge in (0, 900, 3600, 10_800) for s in (edge - 1, edge, edge + 1, edge + 0.5)])
INSTANTS = st.lists(st.one_of(NEAR, st.integers(-4000, 12_000), st.floats(0, 11_000)), max_size=12)
STORED: dict[str, Any] = {
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "int64": st.integers(0, 90_000).map(lambda back: int(T0.timestamp()) - back),
    "instants": INSTANTS.map(lambda back: sorted(T0.timestamp() - s for s in back)),
}


@st.composite
def cases(draw: Any) -> tuple[dict[str, Any], dict[str, tuple[float, dict[str, Any]] | None]]:
    """A request, and for each view either nothing or a row's age in seconds and its values, nulls among them."""
    request = {
        "carrier": draw(st.sampled_from(["AA", "B6", "ZZ"])),
        "origin": draw(st.sampled_from(["JFK", "XXX"])),
        "event_timestamp": T0 + timedelta(microseconds=draw(st.integers(0, 999_999))),
        **{
            field: draw(st.none() | st.integers(0, 2000))
            for field in ("dow", "distance", "block", "dep_min", "sched_load")
        },
    }
    stored = {
        view.name: draw(
            st.none()
            | st.tuples(
                st.integers(0, 100_000),
                st.fixed_dictionaries({name: st.none() | STORED[dtype] for name, dtype in view.features}),
            )
        )
        for view in VIEWS
    }
    return request, stored


def frame(view: View, found: tuple[float, dict[str, Any]] | None) -> pl.DataFrame:
    schema = {"event_timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys(view.join_keys, pl.String)}
    schema |= {name: POLARS_TYPES[dtype] for name, dtype in view.features}
    keys = {"origin": "JFK", "carrier": "AA", "dest": "MIA", "tailnum": "N1"}
    rows = [{"event_timestamp": T0 - timedelta(seconds=found[0]), **keys, **found[1]}] if found else []
    return pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)


def served(view: View, found: tuple[float, dict[str, Any]] | None, t: datetime) -> dict[str, Any]:
    """What the gateway's reader gives: nothing of an expired or missing row, else values that went through Redis' bytes."""
    if found is None or t - (T0 - timedelta(seconds=found[0])) > timedelta(seconds=view.ttl_s):
        return {}
    return {name: decode_value(encode_value(LAYOUT_TYPES[dtype], found[1][name])) for name, dtype in view.features}


@settings(deadline=None)
@given(cases())
def test_columns_and_scalars_agree_to_the_bit(case: Any) -> None:
    request, stored = case
    t = request["event_timestamp"]
    keys = {"origin": "JFK", "carrier": "AA", "dest": "MIA", "tailnum": "N1"}
    rows = pl.DataFrame(
        [request | {"asked_carrier": request["carrier"], "asked_origin": request["origin"]} | keys],
        schema_overrides={
            "event_timestamp": pl.Datetime("us", "UTC"),
            "dow": pl.Int32,
            **dict.fromkeys(("distance", "block", "dep_min", "sched_load"), pl.Float64),
        },
    )
    views = {view.name: frame(view, stored[view.name]) for view in VIEWS}
    columns = inputs_at(rows, views, INPUTS).with_columns(
        s_carrier=rows["asked_carrier"], s_origin=rows["asked_origin"]
    )
    columnar = vectors(columns, INPUTS)[0]
    scalar = Vectors(CONTRACT).from_request(
        {name: value for name, value in request.items() if name != "event_timestamp"},
        {view.name: served(view, stored[view.name], t) for view in VIEWS},
        int(t.timestamp()) * 1_000_000 + t.microsecond,
    )
    assert np.array_equal(columnar, np.array(scalar, np.float32), equal_nan=True)


def test_many_rows_are_evaluated_as_each_alone() -> None:
    rng = np.random.default_rng(5)
    n = 400
    times = sorted(T0 + timedelta(seconds=int(s)) for s in rng.integers(0, 40_000, n))
    lists = [sorted((T0.timestamp() + rng.integers(-9000, 40_000, rng.integers(0, 9))).tolist()) for _ in range(n)]
    board = pl.DataFrame(
        {
            "event_timestamp": times,
            "origin": rng.choice(["JFK", "LGA"], n),
            "sched_at": lists,
            "open_at": [x[::2] or None for x in lists],
        },
        schema_overrides={
            "event_timestamp": pl.Datetime("us", "UTC"),
            "sched_at": pl.List(pl.Float64),
            "open_at": pl.List(pl.Float64),
        },
    )
    asked = pl.DataFrame(
        {
            "event_timestamp": [T0 + timedelta(seconds=int(s)) for s in rng.integers(-100, 41_000, n)],
            "origin": rng.choice(["JFK", "LGA", "EWR"], n),
        },
        schema_overrides={"event_timestamp": pl.Datetime("us", "UTC")},
    )
    inputs = [i for i in INPUTS if i.name.startswith("r_org")]
    together = inputs_at(asked, {"origin_board": board}, inputs)
    alone = pl.concat(inputs_at(asked[i : i + 1], {"origin_board": board}, inputs) for i in range(n))
    assert together.equals(alone, null_equal=True)
    assert together["r_org_overdue_n"].null_count() < n / 2 < together["r_org_overdue_share"].is_not_null().sum() * 2
    assert together["r_org_overdue_n"].max() > 0
