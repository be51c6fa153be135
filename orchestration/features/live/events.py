"""The events: what is sent over the stream, what is nonsense, and which of two events of one identity stands."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta, Struct

from orchestration.features.observations import REPORT_DELAY
from orchestration.features.views import LEAD

Key = Annotated[str, Meta(min_length=1, max_length=64)]
# RFC 3339 with offset.
Instant = Annotated[datetime, Meta(tz=True)]
# A day early to a week late: what lies beyond is a broken clock.
Minutes = Annotated[float, Meta(ge=-1_440, le=10_080)]
Amount = Annotated[float, Meta(ge=0, le=1_000)]

# A movement later than this after its schedule would lie before the history that the updater keeps.
LATEST = timedelta(days=3)
# What calendars and 64-bit microseconds hold, with all that is added to it and taken from it.
_YEARS = range(1971, 2200)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class EventError(ValueError):
    """Bytes that are no event; the message begins with the path of what is wrong: `$.delay: ...`."""


class _Event(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Instants are brought to UTC and numbers to floats, so that equal events are spelled alike."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime):
                if value.year not in _YEARS:
                    raise ValueError(f"$.{name}: the year must be from {_YEARS.start} to {_YEARS.stop - 1}")
                if value.tzinfo is not UTC:
                    msgspec.structs.force_setattr(self, name, value.astimezone(UTC))
            elif isinstance(value, int):
                msgspec.structs.force_setattr(self, name, float(value))


class _Flight(_Event, frozen=True, kw_only=True):
    """What every event of a flight carries, so that each makes the flight known by itself."""

    request_id: Key
    carrier: Key
    origin: Key
    dest: Key
    tailnum: Key | None
    sched_dep: Instant

    @property
    def identity(self) -> tuple[str, ...]:
        """Events of one identity are one event: sent twice, or corrected."""
        return (self.__struct_config__.tag, self.request_id)  # type: ignore[return-value]


class Scheduled(_Flight, frozen=True, kw_only=True, tag="scheduled"):
    """A flight stands in the schedule. It may be sent long before, and counts from LEAD before its departure."""

    of: ClassVar[str] = "flights"

    @property
    def event_time(self) -> datetime:
        """When it counts, UTC."""
        return self.sched_dep - LEAD


class _Movement(_Flight, frozen=True, kw_only=True):
    at: Instant
    delay: Minutes

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sched_dep - LEAD < self.at <= self.sched_dep + LATEST:
            lead, latest = LEAD // timedelta(minutes=1), LATEST // timedelta(hours=1)
            raise ValueError(
                f"$.at: {self.at:%Y-%m-%dT%H:%M:%SZ} is not within {lead} minutes before and {latest} hours after"
                f" sched_dep, {self.sched_dep:%Y-%m-%dT%H:%M:%SZ}"
            )

    @property
    def event_time(self) -> datetime:
        """When it happened, UTC."""
        return self.at


class Departure(_Movement, frozen=True, kw_only=True, tag="departure"):
    """A flight left the gate at `at`, `delay` minutes after its schedule."""

    of: ClassVar[str] = "departures"


class Arrival(_Movement, frozen=True, kw_only=True, tag="arrival"):
    """A flight reached the gate at `at`, `delay` minutes after its schedule."""

    of: ClassVar[str] = "arrivals"


class Weather(_Event, frozen=True, kw_only=True, tag="weather"):
    """The report of an hour, known when the hour is over. Inches, millibars, miles, miles an hour."""

    of: ClassVar[str] = "weather"

    origin: Key
    time_hour: Instant
    precip: Amount
    pressure: Annotated[float, Meta(ge=500, le=1_200)] | None
    visib: Amount
    wind_speed: Amount | None

    @property
    def event_time(self) -> datetime:
        """When it is known, UTC."""
        return self.time_hour + REPORT_DELAY

    @property
    def identity(self) -> tuple[str, ...]:
        """Events of one identity are one event: sent twice, or corrected."""
        return ("weather", self.origin, self.time_hour.isoformat())


class Progress(_Event, frozen=True, kw_only=True, tag="progress"):
    """All events up to `at` have been sent: the watermark moves without one."""

    of: ClassVar[str] = ""

    at: Instant

    @property
    def event_time(self) -> datetime:
        """What the watermark moves to, UTC."""
        return self.at

    @property
    def identity(self) -> tuple[str, ...]:
        """Events of one identity are one event."""
        return ("progress", self.at.isoformat())


FlightEvent = Scheduled | Departure | Arrival
Event = Scheduled | Departure | Arrival | Weather | Progress

_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def decode(data: bytes | str) -> Event:
    """The event in JSON bytes. Raises EventError, which names the path."""
    try:
        return _DECODER.decode(data)
    except _UNREADABLE as error:
        raise EventError(_with_path(str(error))) from error


def encode(event: Event) -> bytes:
    """Canonical JSON bytes: equal events have equal bytes."""
    return msgspec.json.encode(event)


def stands_over(one: Event, other: Event) -> bool:
    """Whether `one` stands where both say different things of one identity.

    The greater by (at, delay, canonical bytes) stands, whichever came first, so that every order of arrival ends alike.
    """
    return _rank(one) > _rank(other)


def micros(instant: datetime) -> int:
    """UTC microseconds since the epoch."""
    return (instant - _EPOCH) // _MICROSECOND


def instant(micros: int) -> datetime:
    """Inverse of `micros`."""
    return _EPOCH + micros * _MICROSECOND


def kinds() -> Iterator[str]:
    """The names of the kinds."""
    return (kind.__struct_config__.tag for kind in (Scheduled, Departure, Arrival, Weather, Progress))  # type: ignore[misc]


def kind_of(event: Event) -> str:
    """The name of its kind."""
    return str(event.__struct_config__.tag)


def _rank(event: Event) -> tuple[datetime, float, bytes]:
    delay = event.delay if isinstance(event, Departure | Arrival) else 0.0
    return event.event_time, delay, encode(event)


def _with_path(message: str) -> str:
    if message.startswith("$"):
        return message
    text, _, path = message.partition(" - at `")
    return f"{path.rstrip('`') or '$'}: {text}"
