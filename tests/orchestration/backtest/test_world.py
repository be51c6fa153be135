from datetime import UTC, date, datetime, timedelta

import numpy as np

from tests.orchestration.backtest.synthetic_world import world_of

START = datetime(2013, 6, 1, tzinfo=UTC)
WORLD = world_of(START, np.full(1440, 0.3))


def test_a_label_is_known_a_quarter_of_an_hour_after_the_schedule() -> None:
    moment = START + timedelta(hours=1)
    assert WORLD.asked_before(moment) == 60  # schedules of [0:00, 2:00) were asked for by then
    assert WORLD.matured_by(moment) == 23  # schedules up to 0:45 less 15 minutes, both ends included


def test_a_day_is_of_scheduled_departures() -> None:
    assert WORLD.of_days(date(2013, 6, 1), date(2013, 6, 2)) == slice(0, 720)
    assert WORLD.of_days(date(2013, 6, 2), date(2013, 6, 3)) == slice(720, 1440)


def test_keys_differ_by_aircraft_and_by_nothing_else_here() -> None:
    keys = WORLD.keys(slice(0, 200))
    assert len(set(keys)) == 97
    assert keys[0] == keys[97]
    assert all("UA" in key and "N5" in key for key in (keys[5],))
