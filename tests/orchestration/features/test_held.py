from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orchestration.features.held import held_features, held_training
from orchestration.features.views import LOOK_BACK_DAYS, WARM_UP

FIRST = date(2013, 6, 1)
DAYS = [FIRST + timedelta(days=i) for i in range(20)]
NONE: dict[str, set[date]] = {"flights": set(), "weather": set()}
EARLY = {FIRST - timedelta(days=i) for i in range(1, 9)}
STORED: dict[str, set[date]] = {source: {*EARLY, *DAYS} for source in NONE}
SOME_DAYS = st.sets(st.sampled_from(DAYS))


def test_a_refused_day_of_flights_holds_its_features_and_seven_days_after() -> None:
    held = held_features(DAYS, {**NONE, "flights": {DAYS[4]}}, STORED)
    assert list(held) == DAYS[4:12]
    assert set(held.values()) == {"flights of 2013-06-05 were refused"}
    assert list(held_training(DAYS, held, set())) == DAYS[4:13]


def test_a_refused_day_of_weather_holds_one_day_after() -> None:
    held = held_features(DAYS, {**NONE, "weather": {DAYS[4]}}, STORED)
    assert held == dict.fromkeys(DAYS[4:6], "weather of 2013-06-05 were refused")
    assert list(held_training(DAYS, held, set())) == DAYS[4:7]


def test_a_hole_holds_back_what_follows_like_a_refused_day() -> None:
    held = held_features(DAYS, NONE, {**STORED, "flights": STORED["flights"] - {DAYS[4]}})
    assert held[DAYS[4]] == "flights of 2013-06-05 are not materialized"
    assert {day: held[day] for day in DAYS[5:12]} == dict.fromkeys(DAYS[5:12], "flights of 2013-06-05 are missing")
    assert list(held) == DAYS[4:12]


def test_a_range_far_from_the_others_begins_anew() -> None:
    far = [DAYS[-1] + timedelta(days=15 + i) for i in range(3)]
    assert held_features(far, NONE, dict.fromkeys(NONE, frozenset({*DAYS, *far}))) == {}
    near = [DAYS[-1] + timedelta(days=14 + i) for i in range(3)]
    held = held_features(near, NONE, dict.fromkeys(NONE, frozenset({*DAYS, *near})))
    assert held == {near[0]: f"flights of {DAYS[-1] + timedelta(days=7)} are missing"}


def test_nothing_is_missing_before_the_data_begin() -> None:
    held = held_features(DAYS, NONE, {source: set(DAYS[5:]) for source in NONE})
    assert list(held) == DAYS[:5]
    assert held[DAYS[4]] == "weather of 2013-06-05 are not materialized"
    assert held_training(DAYS, {}, {DAYS[4]}) == {DAYS[4]: "features of 2013-06-05 are not materialized"}


@given(SOME_DAYS, SOME_DAYS)
def test_a_day_is_held_exactly_when_something_that_it_reads_was_refused(flights: set[date], weather: set[date]) -> None:
    refused = {"flights": flights, "weather": weather}
    held = held_features(DAYS, refused, STORED)
    training = held_training(DAYS, held, set())
    for day in DAYS:
        reads = any(day - WARM_UP[source] <= bad <= day for source, days in refused.items() for bad in days)
        assert (day in held) == reads
        joins = any(day - timedelta(days=back) in held for back in range(LOOK_BACK_DAYS + 1))
        assert (day in training) == joins
