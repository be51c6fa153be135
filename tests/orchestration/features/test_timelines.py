"""Sums that go on from what was summed before are those of the columns, to the bit, whatever is put in and dropped."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl

from orchestration.features.decay import decayed_means, last_decayed_means
from orchestration.features.timelines import Movement, Timeline, float32

START = datetime(2013, 5, 1, 12, tzinfo=UTC)
MINUTE = 60_000_000
START_US = int(START.timestamp()) * 1_000_000


def by_columns(movements: list[Movement]) -> tuple[float, float]:
    events = pl.DataFrame(
        {
            "event_timestamp": pl.Series([m.at for m in movements]).cast(pl.Datetime("us", "UTC")),
            "origin": ["JFK"] * len(movements),
            "delay": [m.delay for m in movements],
        }
    )
    last = decayed_means(events, ["origin"], half_life_h=2, prefix="e").row(-1, named=True)
    return last["e_mean"], last["e_late"]


def test_whatever_is_put_in_and_dropped_the_sums_are_those_of_the_columns() -> None:
    rng, timeline, at = random.Random(1), Timeline[Movement](), START_US
    from_before = 0
    for n in range(250):
        at += rng.choice([0, 1, 17, 95]) * MINUTE + rng.randrange(1_000)
        late = rng.randrange(3_000) * MINUTE if n % 7 == 0 else 0
        timeline.put(Movement(at - late, f"{n}", rng.choice([-40.0, 3.5, 15.0, 15.5, 1_000.0])))
        if n % 11 == 10:
            timeline.drop(rng.choice(timeline))
        assert timeline == sorted(timeline)
        from_before += timeline.sums is not None
        last = last_decayed_means(timeline, half_life_h=2)
        assert n % 3 or last == by_columns(list(timeline))
    assert at - START_US > timedelta(days=4) // timedelta(microseconds=1), "the oldest have left the sums"
    assert from_before > 100


def test_what_is_known_at_an_instant_ends_with_it() -> None:
    timeline = Timeline([Movement(at, f"{at}", 0.0) for at in (1, 2, 2, 5)])
    assert [m.at for m in timeline.known(2)] == [1, 2, 2]
    assert timeline.known(5) is timeline
    assert timeline.known(0) == []
    assert [m.at for m in timeline.since(2)] == [5]


def test_a_float32_is_the_nearest() -> None:
    assert float32(0.1) == pl.Series([0.1]).cast(pl.Float32).item()
