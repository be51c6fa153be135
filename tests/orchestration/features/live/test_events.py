"""Events: what is taken, what is refused with which words, and which of two of one identity stands."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.features.live.events import (
    Departure,
    EventError,
    Progress,
    Scheduled,
    Weather,
    decode,
    encode,
    instant,
    kinds,
    micros,
    stands_over,
)
from tests.orchestration.features.live.feeds import synthetic, utc

FLIGHT = {
    "request_id": "B6-371-20130501T1500",
    "carrier": "B6",
    "origin": "JFK",
    "dest": "MCO",
    "tailnum": "N505JB",
    "sched_dep": "2013-05-01T15:00:00Z",
}
DEPARTURE = FLIGHT | {"kind": "departure", "at": "2013-05-01T15:12:00Z", "delay": 12}
WEATHER = {
    "kind": "weather",
    "origin": "JFK",
    "time_hour": "2013-05-01T14:00:00Z",
    "precip": 0.1,
    "pressure": None,
    "visib": 8,
    "wind_speed": 12.5,
}


def decoded(document: object) -> object:
    return decode(msgspec.json.encode(document))


def test_each_kind_is_taken_with_its_time_and_identity() -> None:
    scheduled, departure = decoded(FLIGHT | {"kind": "scheduled"}), decoded(DEPARTURE)
    assert isinstance(scheduled, Scheduled)
    assert scheduled.event_time == utc("2013-05-01T14:00:00")
    assert isinstance(departure, Departure)
    assert (departure.event_time, departure.delay) == (utc("2013-05-01T15:12:00"), 12.0)
    assert departure.identity == ("departure", FLIGHT["request_id"])
    weather = decoded(WEATHER)
    assert isinstance(weather, Weather)
    assert weather.event_time == utc("2013-05-01T15:00:00")
    assert decoded({"kind": "progress", "at": "2013-05-01T15:15:00Z"}) == Progress(at=utc("2013-05-01T15:15:00"))
    assert set(kinds()) == {"scheduled", "departure", "arrival", "weather", "progress"}


def test_an_instant_of_another_offset_is_the_same_instant() -> None:
    here = decoded(DEPARTURE | {"at": "2013-05-01T11:12:00-04:00"})
    assert encode(here) == encode(decoded(DEPARTURE))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (DEPARTURE | {"origin": 7}, "$.origin: Expected `str`, got `int`"),
        (DEPARTURE | {"origin": ""}, "$.origin: Expected `str` of length >= 1"),
        (DEPARTURE | {"delay": "12"}, "$.delay: Expected `float`, got `str`"),
        (DEPARTURE | {"delay": None}, "$.delay: Expected `float`, got `null`"),
        (DEPARTURE | {"delay": 1e6}, "$.delay: Expected `float` <= 10080.0"),
        (DEPARTURE | {"at": "2013-05-01T15:12:00"}, "$.at: Expected `datetime` with a timezone component"),
        (DEPARTURE | {"at": "noon"}, "$.at: Invalid RFC3339 encoded datetime"),
        (DEPARTURE | {"at": "2013-05-01T14:00:00Z"}, "$.at: 2013-05-01T14:00:00Z is not within 60 minutes before"),
        (DEPARTURE | {"at": "2013-05-05T14:00:00Z"}, "$.at: 2013-05-05T14:00:00Z is not within 60 minutes before"),
        (DEPARTURE | {"sched_dep": "0001-01-01T00:00:00+05:00"}, "$.sched_dep: the year must be from 1971 to 2199"),
        (FLIGHT | {"kind": "scheduled", "sched_dep": "9999-12-31T23:59:59Z"}, "$.sched_dep: the year must be"),
        (DEPARTURE | {"gate": "B7"}, "$: Object contains unknown field `gate`"),
        (FLIGHT | {"kind": "departure", "at": "2013-05-01T15:12:00Z"}, "$: Object missing required field `delay`"),
        (FLIGHT | {"kind": "landing"}, "$.kind: Invalid value 'landing'"),
        (FLIGHT, "$: Object missing required field `kind`"),
        (WEATHER | {"precip": -1}, "$.precip: Expected `float` >= 0.0"),
        (WEATHER | {"visib": None}, "$.visib: Expected `float`, got `null`"),
        ([], "$: Expected `object`, got `array`"),
    ],
)
def test_nonsense_is_refused_by_its_path(document: object, message: str) -> None:
    with pytest.raises(EventError) as refused:
        decoded(document)
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"kind": "departure", "delay": NaN}'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(EventError, match=r"^\$: "):
        decode(data)


@given(data=st.binary(max_size=60))
def test_bytes_of_any_kind_are_refused_by_one_error(data: bytes) -> None:
    with pytest.raises(EventError, match=r"^\$"):
        decode(data)


def test_an_event_is_what_its_bytes_say() -> None:
    for event in synthetic(3, n=40, days=1)[2]:
        assert decode(encode(event)) == event
        assert instant(micros(event.event_time)) == event.event_time


def test_the_later_of_two_movements_stands_then_the_later_by_delay() -> None:
    first = decoded(DEPARTURE)
    later = msgspec.structs.replace(first, at=first.at + timedelta(minutes=1))  # type: ignore[attr-defined]
    delayed = msgspec.structs.replace(first, delay=13.0)
    assert stands_over(later, first)  # type: ignore[arg-type]
    assert stands_over(delayed, first)  # type: ignore[arg-type]
    assert stands_over(later, delayed)  # type: ignore[arg-type]
    assert not stands_over(first, first)  # type: ignore[arg-type]
