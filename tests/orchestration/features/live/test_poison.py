"""No event that is taken makes an updater fail: it would fail at every start."""

from datetime import UTC, datetime, timedelta

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from orchestration.features.live.events import Arrival, Departure, Event, Scheduled, Weather, decode, encode
from orchestration.features.live.rows import encoded
from orchestration.features.views import PROJECT
from tests.orchestration.features.live.feeds import Rows, empty_state, layouts, told

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
YEARS = st.datetimes(datetime(1971, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - given one
AMOUNTS = st.floats(0, 1_000)
FLIGHTS = st.fixed_dictionaries(
    {
        "request_id": TEXT,
        "carrier": TEXT,
        "origin": TEXT,
        "dest": TEXT,
        "tailnum": st.none() | TEXT,
        "sched_dep": YEARS,
    }
)
WEATHER = st.builds(
    Weather,
    origin=TEXT,
    time_hour=YEARS,
    precip=AMOUNTS,
    pressure=st.none() | st.floats(500, 1_200),
    visib=AMOUNTS,
    wind_speed=st.none() | AMOUNTS,
)


@st.composite
def flight_events(draw: st.DrawFn) -> Event:
    flight = draw(FLIGHTS)
    kind = draw(st.sampled_from([Scheduled, Departure, Arrival]))
    if kind is Scheduled:
        return Scheduled(**flight)
    at = flight["sched_dep"] + timedelta(
        minutes=draw(st.integers(-59, 4_320)), microseconds=draw(st.integers(0, 1)) * -1
    )
    return kind(**flight, at=at, delay=draw(st.floats(-1_440, 10_080)))


@given(events=st.lists(flight_events() | WEATHER, min_size=1, max_size=8))
@settings(max_examples=15, deadline=None, phases=[Phase.generate])
def test_any_events_that_are_taken_are_applied(events: list[Event]) -> None:
    assert [decode(encode(event)) for event in events] == events
    state = empty_state(as_of=datetime(1971, 1, 1, tzinfo=UTC))
    rows: Rows = {}
    for n, event in enumerate(sorted(events, key=lambda event: event.event_time), start=1):
        told(rows, state, state.apply([(f"{n}-0", event)], f"{n}-0")[1])
    everything: Rows = {}
    told(everything, state, state.history.keys())
    assert everything.items() <= rows.items()
    stored = state.history.latest(state.watermark, state.history.keys())
    assert sum(encoded(stored[layout.name], layout, PROJECT).rows for layout in layouts()) == len(everything)
