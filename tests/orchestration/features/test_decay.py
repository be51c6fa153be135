"""Decayed means where instants are finer than a second."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from orchestration.features.decay import decayed_means

AT = datetime(2013, 5, 1, 12, tzinfo=UTC)


def test_weights_shrink_between_events_less_than_a_second_apart() -> None:
    step, n = timedelta(milliseconds=900), 4_000
    delays = [60.0] + [0.0] * (n - 1)
    events = pl.DataFrame(
        {"event_timestamp": [AT + i * step for i in range(n)], "origin": ["JFK"] * n, "delay": delays},
        schema_overrides={"event_timestamp": pl.Datetime("us", "UTC")},
    )
    weights = [2 ** -((n - 1 - i) * step / timedelta(hours=1)) for i in range(n)]
    expected = sum(w * x for w, x in zip(weights, delays, strict=True)) / sum(weights)
    last = decayed_means(events, ["origin"], half_life_h=1, prefix="e").row(-1, named=True)
    assert last["e_mean"] == pytest.approx(expected, rel=1e-5)
