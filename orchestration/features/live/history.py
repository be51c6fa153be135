"""The set of known events, and by view and key the timelines that they make.

What the online store shall hold is a function of this set and the watermark. So events that come late, twice or in
another order end in the same state.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from orchestration.features.computations import COMPUTATIONS, Source
from orchestration.features.live.affected import Affected, Key, add_key
from orchestration.features.live.events import (
    Arrival,
    Departure,
    Event,
    Progress,
    Scheduled,
    Weather,
    micros,
    stands_over,
)
from orchestration.features.timelines import Due, Entry, Movement, Report, Timeline, Values
from orchestration.features.views import LEAD, VIEWS, WARM_UP
from orchestration.ingestion.partitions import midnight

# A row that is still read was computed from the raw days of WARM_UP before its own, which lies this far back at most.
_KEPT = WARM_UP["flights"] + timedelta(days=2)
_VIEWS_OF: dict[Source, list[tuple[str, tuple[str, ...]]]] = {
    source: [(view.name, view.join_keys) for view in VIEWS if COMPUTATIONS[view.name].source == source]
    for source in ("flights", "weather", "departures", "arrivals")
}
# What is told before it counts.
_AHEAD = [view for source in ("flights", "weather") for view, _ in _VIEWS_OF[source]]

# An entry and where it stands: the view, its key.
_Placed = tuple[str, Key, Entry]


class Flight(NamedTuple):
    """A flight as its events tell it; movements come with their delay in minutes, or not at all."""

    request_id: str
    carrier: str
    origin: str
    dest: str
    tailnum: str | None
    sched_dep: datetime
    dep: datetime | None
    dep_delay: float | None
    arr: datetime | None
    arr_delay: float | None


class Row(NamedTuple):
    """A row of the online store: its instant, UTC microseconds since the epoch, and the features in the view's order."""

    at_us: int
    values: Values


Rows = dict[str, dict[Key, Row]]


class History:
    """Known events, at most one of each identity, and the timelines that they make.

    `add` takes an event into the set, `settle` brings the timelines up to it.
    """

    def __init__(self) -> None:
        self._flights: dict[str, dict[type, Scheduled | Departure | Arrival]] = {}
        self._weather: dict[tuple[str, ...], Weather] = {}
        # What stood before, of what was added to.
        self._touched: dict[str, Flight | None] = {}
        self._reports: dict[tuple[str, ...], Weather | None] = {}
        self._timelines: dict[str, dict[Key, Timeline[Entry]]] = {view.name: {} for view in VIEWS}

    def __len__(self) -> int:
        """How many flights are known."""
        return len(self._flights)

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """The history of these events."""
        history = cls()
        for event in events:
            history.add(event)
        history.settle()
        return history

    def known(self, event: Event) -> Event | None:
        """The event of this identity that stands."""
        if isinstance(event, Progress):
            return None
        if isinstance(event, Weather):
            return self._weather.get(event.identity)
        return self._flights.get(event.request_id, {}).get(type(event))

    def would_change(self, event: Event) -> bool:
        """Whether the event says something new: none of its identity stands, or the one that does stands no longer."""
        stands = self.known(event)
        return stands is None or (stands != event and stands_over(event, stands))

    def add(self, event: Event) -> bool:
        """Take an event in; False where one of its identity stands and goes on standing."""
        if isinstance(event, Progress) or not self.would_change(event):
            return False
        if isinstance(event, Weather):
            self._reports.setdefault(event.identity, self._weather.get(event.identity))
            self._weather[event.identity] = event
        else:
            events = self._flights.setdefault(event.request_id, {})
            if event.request_id not in self._touched:
                self._touched[event.request_id] = _flight(events)
            events[type(event)] = event
        return True

    def settle(self) -> Affected:
        """Bring the timelines up to what was added; returns the keys whose rows may have changed by it."""
        affected: Affected = {}
        for request_id, before in self._touched.items():
            self._change(_of_flight(before), _of_flight(_flight(self._flights[request_id])), affected)
        for identity, report in self._reports.items():
            self._change(_of_report(report), _of_report(self._weather[identity]), affected)
        self._touched, self._reports = {}, {}
        return affected

    def passed(self, after: datetime, upto: datetime) -> Affected:
        """Keys that change because the watermark moved over (after, upto]: what was told of before it counts."""
        affected: Affected = {}
        first, last = micros(after), micros(upto)
        for view in _AHEAD:
            for key, entries in self._timelines[view].items():
                if entries.reached(first) < entries.reached(last):
                    add_key(affected, view, key)
        return affected

    def keys(self) -> Affected:
        """Every key that has events."""
        return {view: set(timelines) for view, timelines in self._timelines.items()}

    def latest(self, watermark: datetime, of: Affected) -> Rows:
        """The row that a reader at the watermark finds of each of these keys; one without row is left out."""
        at_us, found = micros(watermark), Rows()
        for view, keys in of.items():
            timelines, last = self._timelines[view], COMPUTATIONS[view].last
            rows = found[view] = {}
            for key in keys:
                if key in timelines and (known := timelines[key].known(at_us)):
                    rows[key] = Row(known[-1].at, last(known))
        return found

    def forget(self, watermark: datetime) -> None:
        """Drop what no row reads that is still read."""
        since = midnight((watermark + LEAD).date()) - _KEPT
        dropped: Affected = {}
        flights = [i for i, events in self._flights.items() if next(iter(events.values())).sched_dep < since]
        for request_id in flights:
            self._change(_of_flight(_flight(self._flights.pop(request_id))), set(), dropped)
        reports = [identity for identity, report in self._weather.items() if report.time_hour < since]
        for identity in reports:
            self._change(_of_report(self._weather.pop(identity)), set(), dropped)

    def _change(self, before: set[_Placed], now: set[_Placed], affected: Affected) -> None:
        """Put entries of `now` in the place of those of `before`, and add the keys of those that differ."""
        for view, key, entry in before - now:
            entries = self._timelines[view][key]
            entries.drop(entry)
            if not entries:
                del self._timelines[view][key]
            add_key(affected, view, key)
        for view, key, entry in now - before:
            self._timelines[view].setdefault(key, Timeline()).put(entry)
            add_key(affected, view, key)


def _flight(events: dict[type, Scheduled | Departure | Arrival]) -> Flight | None:
    """The flight that these events tell of, as tidy flights would have it.

    What they all carry is believed in the order arrival, departure, schedule: an aircraft may be changed. As in the
    lake, a flight without known aircraft does not count before it leaves.
    """
    arrival, departure = events.get(Arrival), events.get(Departure)
    told = [event for event in (arrival, departure, events.get(Scheduled)) if event is not None]
    tailnum = next((event.tailnum for event in told if event.tailnum is not None), None)
    if not told or (tailnum is None and departure is None):
        return None
    first = told[0]
    dep = (departure.at, departure.delay) if isinstance(departure, Departure) else (None, None)
    arr = (arrival.at, arrival.delay) if isinstance(arrival, Arrival) else (None, None)
    return Flight(first.request_id, first.carrier, first.origin, first.dest, tailnum, first.sched_dep, *dep, *arr)


def _of_flight(flight: Flight | None) -> set[_Placed]:
    """The entries that a flight makes: an arrival changes no board."""
    return set() if flight is None else set(_entries(flight))


def _entries(flight: Flight) -> Iterator[_Placed]:
    name, sched, lead = flight.request_id, micros(flight.sched_dep), LEAD // timedelta(microseconds=1)
    dep = None if flight.dep is None else micros(flight.dep)
    yield from _placed("flights", flight, Due(sched - lead, name, sched, dep))
    if dep is not None:
        yield from _placed("flights", flight, Due(dep, name, sched, dep))
        yield from _placed("departures", flight, Movement(dep, name, flight.dep_delay or 0.0))
    if flight.arr is not None:
        yield from _placed("arrivals", flight, Movement(micros(flight.arr), name, flight.arr_delay or 0.0))


def _of_report(report: Weather | None) -> set[_Placed]:
    if report is None:
        return set()
    values = (report.precip, report.pressure, report.visib, report.wind_speed)
    return set(_placed("weather", report, Report(micros(report.event_time), report.origin, *values)))


def _placed(source: Source, of: Flight | Weather, entry: Entry) -> Iterator[_Placed]:
    """The entry at its key in each view of the source; in none whose key it does not know."""
    for view, join_keys in _VIEWS_OF[source]:
        key = tuple(getattr(of, name) for name in join_keys)
        if None not in key:
            yield view, key, entry
