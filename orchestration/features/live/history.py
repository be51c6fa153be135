"""The set of known events, in the shape of tidy flights and weather.

What the online store shall hold is a function of this set and the watermark. So events that come late, twice or in
another order end in the same state.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import polars as pl

from orchestration.features.computations import COMPUTATIONS, Source
from orchestration.features.latest import latest_rows
from orchestration.features.live.affected import Affected, add_keys
from orchestration.features.live.events import Arrival, Departure, Event, Progress, Scheduled, Weather, stands_over
from orchestration.features.observations import REPORT_DELAY
from orchestration.features.views import BY_NAME, LEAD, VIEWS, WARM_UP
from orchestration.ingestion.partitions import midnight

# A row that is still read was computed from the raw days of WARM_UP before its own, which lies this far back at most.
_KEPT = WARM_UP["flights"] + timedelta(days=2)

_UTC = pl.Datetime("us", "UTC")
_FLIGHTS = {
    "request_id": pl.String(),
    "carrier": pl.String(),
    "origin": pl.String(),
    "dest": pl.String(),
    "tailnum": pl.String(),
    "sched_dep": _UTC,
    "dep": _UTC,
    "dep_delay": pl.Float64(),
    "arr": _UTC,
    "arr_delay": pl.Float64(),
}
_SOURCES: tuple[Source, ...] = ("flights", "departures", "arrivals")
_WEATHER = {
    "origin": pl.String(),
    "time_hour": _UTC,
    "precip": pl.Float64(),
    "pressure": pl.Float64(),
    "visib": pl.Float64(),
    "wind_speed": pl.Float64(),
}


class Flight(NamedTuple):
    """A flight as its events tell it, in the columns of _FLIGHTS."""

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


class History:
    """Known events, at most one of each identity, and the frames that they make.

    `add` takes an event into the set, `settle` brings the frames up to it.
    """

    def __init__(self) -> None:
        self._flights: dict[str, dict[type, Scheduled | Departure | Arrival]] = {}
        self._weather: dict[tuple[str, ...], Weather] = {}
        self._touched: dict[str, Flight | None] = {}
        self._reports: dict[tuple[str, ...], Weather] = {}
        self.flights = pl.DataFrame(schema=_FLIGHTS)
        self.weather = pl.DataFrame(schema=_WEATHER)

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
            self._weather[event.identity] = self._reports[event.identity] = event
        else:
            events = self._flights.setdefault(event.request_id, {})
            self._touched.setdefault(event.request_id, _flight(events))
            events[type(event)] = event
        return True

    def settle(self) -> Affected:
        """Bring the frames up to what was added; returns the keys whose rows may have changed by it."""
        affected: Affected = {}
        after = {request_id: _flight(self._flights[request_id]) for request_id in self._touched}
        for request_id, now in after.items():
            _add_changes(affected, self._touched[request_id], now)
        for report in self._reports.values():
            add_keys(affected, "weather", report)
        self._rebuild(after)
        self._touched, self._reports = {}, {}
        return affected

    def passed(self, after: datetime, upto: datetime) -> Affected:
        """Keys that change because the watermark moved over (after, upto]: what was told of before it counts."""
        affected: Affected = {}
        if after == upto:
            return affected
        counts = pl.col("sched_dep").is_between(after + LEAD, upto + LEAD, closed="right")
        for row in self.flights.filter(counts).iter_rows():
            add_keys(affected, "flights", Flight(*row))
        known = (pl.col("time_hour") + REPORT_DELAY).is_between(after, upto, closed="right")
        for report in self.weather.filter(known).iter_rows(named=True):
            add_keys(affected, "weather", Weather(**report))
        return affected

    def keys(self) -> Affected:
        """Every key that has events."""
        sources = {"weather": self.weather}
        found = {}
        for view in VIEWS:
            frame = sources.get(COMPUTATIONS[view.name].source, self.flights)
            keys = frame.select(view.join_keys).drop_nulls().unique().rows() if view.join_keys else [()]
            found[view.name] = set(keys)
        return found

    def latest(self, watermark: datetime, of: Affected) -> dict[str, pl.DataFrame]:
        """The rows that a reader at the watermark finds of these keys; see `latest_rows`."""
        keys = {
            name: pl.DataFrame(list(keys), schema=dict.fromkeys(BY_NAME[name].join_keys, pl.String), orient="row")
            for name, keys in of.items()
        }
        return latest_rows(self.flights, self.weather, watermark, keys)

    def forget(self, watermark: datetime) -> None:
        """Drop what no row reads that is still read."""
        since = midnight((watermark + LEAD).date()) - _KEPT
        self._flights = {
            request_id: events
            for request_id, events in self._flights.items()
            if next(iter(events.values())).sched_dep >= since
        }
        self._weather = {key: report for key, report in self._weather.items() if report.time_hour >= since}
        self.flights = self.flights.filter(pl.col("sched_dep") >= since)
        self.weather = self.weather.filter(pl.col("time_hour") >= since)

    def _rebuild(self, flights: dict[str, Flight | None]) -> None:
        if flights:
            rows = pl.DataFrame([f for f in flights.values() if f is not None], schema=_FLIGHTS, orient="row")
            others = self.flights.filter(~pl.col("request_id").is_in(list(flights)))
            self.flights = pl.concat([others, rows], rechunk=True)
        if self._reports:
            columns = list(_WEATHER)
            values = [tuple(getattr(r, name) for name in columns) for r in self._reports.values()]
            rows = pl.DataFrame(values, schema=_WEATHER, orient="row")
            others = self.weather.join(rows, on=["origin", "time_hour"], how="anti")
            self.weather = pl.concat([others, rows], rechunk=True)


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


def _add_changes(affected: Affected, before: Flight | None, now: Flight | None) -> None:
    """Add the keys of what is told differently now: an arrival changes no board."""
    was, is_now = _told(before), _told(now)
    for source in _SOURCES:
        if was.get(source) != is_now.get(source):
            for flight, told in ((before, was), (now, is_now)):
                if source in told:
                    add_keys(affected, source, flight)


def _told(flight: Flight | None) -> dict[Source, tuple[object, ...]]:
    """Source to what its rows take of a flight."""
    if flight is None:
        return {}
    told: dict[Source, tuple[object, ...]] = {"flights": (flight.origin, flight.sched_dep, flight.dep)}
    if flight.dep is not None:
        told["departures"] = (*flight[:5], flight.dep, flight.dep_delay)
    if flight.arr is not None:
        told["arrivals"] = (*flight[:5], flight.arr, flight.arr_delay)
    return told
