"""Whatever the order, the repetition and the batches in which events come, the store ends as batch computation leaves it."""

import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestration.features.live.events import Departure, Event, Progress, Scheduled, Weather
from orchestration.features.live.policy import LATENESS
from orchestration.features.live.state import State
from tests.orchestration.features.live.feeds import (
    Rows,
    batch_rows,
    empty_state,
    events_of,
    last_moment,
    synthetic,
    told,
)
from tests.orchestration.features.reference import random_flights, random_weather

pytestmark = pytest.mark.integration  # by its time
HOUR = timedelta(hours=1)


def fed(events: list[Event], sizes: list[int]) -> tuple[State, Rows]:
    """The state and the written rows after the events, in batches of these sizes, again and again."""
    state, rows, at, turn = empty_state(), Rows(), 0, 0
    while at < len(events):
        batch = events[at : at + sizes[turn % len(sizes)]]
        ids = [(f"{at + i + 1}-0", event) for i, event in enumerate(batch)]
        _, affected = state.apply(ids, ids[-1][0])
        told(rows, state, affected)
        at, turn = at + len(batch), turn + 1
    return state, rows


def shuffled(events: list[Event], rng: random.Random, *, within: timedelta) -> list[Event]:
    """The events out of order: none comes after one that is more than `within` younger. Schedules and reports may be told
    days before.
    """

    def arrives(event: Event) -> object:
        delay = within * rng.random()
        ahead = timedelta(days=2) * rng.random() if isinstance(event, Scheduled | Weather) else timedelta(0)
        return event.event_time + delay - ahead

    return sorted(events, key=arrives)


@given(
    seed=st.integers(0, 10**6), sizes=st.lists(st.integers(10, 60), min_size=1, max_size=3), repeat=st.floats(0, 0.5)
)
@settings(max_examples=6, deadline=None, phases=[Phase.generate])
def test_the_store_ends_as_batch_computation_leaves_it(seed: int, sizes: list[int], repeat: float) -> None:
    flights, weather, events = synthetic(seed, n=60, days=1)
    rng = random.Random(seed)
    sent = shuffled(events + [event for event in events if rng.random() < repeat], rng, within=LATENESS * 0.99)
    state, rows = fed(sent, sizes)
    assert state.watermark == last_moment(events)
    assert rows == batch_rows(flights, weather, state.watermark)
    assert state.events == len(events)
    assert fed(events, [len(events)])[1] == rows


@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_of_two_events_of_one_identity_the_same_one_stands_in_any_order(seed: int) -> None:
    _, _, events = synthetic(seed, n=30, days=1)
    rng = random.Random(seed)
    corrections: list[Event] = []
    for event in events:
        if isinstance(event, Departure) and rng.random() < 0.5:
            moved = msgspec.structs.replace(event, at=event.at + timedelta(minutes=rng.randint(-5, 30)), delay=99.0)
            corrections.append(msgspec.structs.replace(moved, tailnum=rng.choice([event.tailnum, "N-other"])))
    assert corrections
    # Up to one moment, whichever departure was the last.
    everything = [*events, *corrections]
    end = Progress(at=last_moment(everything) + HOUR)
    outcomes = [fed([*shuffled(everything, rng, within=8 * HOUR), end], [rng.randint(10, 40)]) for _ in range(3)]
    assert all(rows == outcomes[0][1] for _, rows in outcomes)
    state = outcomes[0][0]
    whole: Rows = {}
    told(whole, state, state.history.keys())
    assert outcomes[0][1] == whole, "nothing is left of keys that a correction took the last event from"


def test_the_rows_of_a_moment_are_those_of_batch_computation_at_it() -> None:
    """Not only at the end: after every batch."""
    flights, weather, events = synthetic(5, n=90, days=2)
    state, rows = empty_state(), Rows()
    for end in range(25, len(events), 25):
        at = events[end].event_time  # a moment is over once all of it is there
        batch = [(f"{i}-0", event) for i, event in enumerate(events, 1) if event.event_time <= at]
        told(rows, state, state.apply(batch, batch[-1][0])[1])
        assert rows == batch_rows(flights, weather, state.watermark)


def test_history_is_forgotten_and_nothing_that_is_read_changes() -> None:
    flights, weather = random_flights(3, n=900, days=14), random_weather(3, days=14)
    state, rows = fed(events_of(flights, weather), [200])
    assert 0 < len(state.history) < 0.85 * flights.height
    at = state.watermark
    fresh = {key: row for key, row in rows.items() if at - row[0] <= timedelta(days=1)}
    assert len(fresh) > 40
    expected = batch_rows(flights, weather, at, days=16)
    assert fresh == {key: expected[key] for key in fresh}
