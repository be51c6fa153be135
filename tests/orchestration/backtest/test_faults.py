"""A fault changes what it says from its moment on, and nothing else."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from orchestration.backtest.faults import (
    BOARDS,
    BURST_VIEWS,
    DATA_FAULTS,
    DELAYS,
    INSTANTS,
    SWAPPED,
    DataFault,
    swapped_columns,
)
from tests.orchestration.backtest.small_views import SINCE, small_views

VIEWS = small_views()
BY_NAME = {fault.name: fault for fault in DATA_FAULTS}
EARLIER = pl.col("event_timestamp") < SINCE


def faulty(name: str) -> dict[str, pl.DataFrame]:
    fault = BY_NAME[name]
    assert fault.in_views is not None
    return fault.in_views(VIEWS, SINCE, np.random.default_rng(3))


def changed(name: str) -> dict[str, list[str]]:
    """Columns that differ, by view."""
    after = faulty(name)
    found = {
        view: [column for column in frame.columns if not frame[column].equals(after[view][column])]
        for view, frame in VIEWS.items()
    }
    return {view: columns for view, columns in found.items() if columns}


@pytest.mark.parametrize("fault", [fault for fault in DATA_FAULTS if fault.in_views], ids=lambda fault: fault.name)
def test_what_was_written_before_stays_as_it_is(fault: DataFault) -> None:
    after = faulty(fault.name)
    assert after.keys() == VIEWS.keys()
    for view, frame in VIEWS.items():
        assert_frame_equal(after[view].filter(EARLIER), frame.filter(EARLIER))
        assert after[view].schema == frame.schema


def test_wrong_units_are_the_delays_times_sixty_and_clipped() -> None:
    assert changed("wrong units") == {view: list(names) for view, names in DELAYS.items()}
    after = faulty("wrong units")["tail_arrivals"].filter(~EARLIER)["r_tail_last_arr_delay"]
    assert after.to_list() == [
        min(60 * value, 180) for value in VIEWS["tail_arrivals"].filter(~EARLIER)["r_tail_last_arr_delay"]
    ]


def test_a_time_zone_shift_moves_instants_and_no_timestamp() -> None:
    assert changed("time-zone shift") == {view: list(names) for view, names in {**INSTANTS, **BOARDS}.items()}
    after = faulty("time-zone shift")
    moved = (
        VIEWS["tail_arrivals"].filter(~EARLIER)["last_arr_at"] - after["tail_arrivals"].filter(~EARLIER)["last_arr_at"]
    )
    assert set(moved) == {4 * 3600}
    board = after["nyc_departures"].filter(~EARLIER)["dep_at"].list.first()
    assert set(VIEWS["nyc_departures"].filter(~EARLIER)["dep_at"].list.first() - board) == {4 * 3600.0}


def test_frozen_features_end() -> None:
    assert all(frame.filter(~EARLIER).is_empty() for frame in faulty("frozen features").values())


def test_a_null_burst_takes_whole_rows_of_its_views() -> None:
    after = faulty("null burst")
    assert set(changed("null burst")) == set(BURST_VIEWS)
    for view in BURST_VIEWS:
        rows = after[view].filter(~EARLIER).select(pl.col("^e_.*$").is_null())
        assert rows.to_dicts() == [dict.fromkeys(rows.columns, row[0]) for row in rows.iter_rows()]
        assert 0.2 < rows[rows.columns[0]].mean() < 0.8  # type: ignore[operator]


def test_a_stuck_sensor_is_one_airports() -> None:
    assert set(changed("stuck sensor")) == {"origin_weather"}
    before, after = VIEWS["origin_weather"], faulty("stuck sensor")["origin_weather"]
    other = pl.col("origin") != "EWR"
    assert_frame_equal(before.filter(other), after.filter(other))
    last = before.filter(~other & EARLIER).tail(1).drop("event_timestamp")
    assert after.filter(~other & ~EARLIER).drop("event_timestamp").unique().equals(last)


def test_swapped_columns_change_places() -> None:
    names = ["a", SWAPPED[0], "b", SWAPPED[1]]
    vectors = np.arange(8, dtype=np.float32).reshape(2, 4)
    assert swapped_columns(vectors, names).tolist() == [[0, 3, 2, 1], [4, 7, 6, 5]]
    assert vectors[0, 1] == 1  # what was given stays


def test_late_labels_change_no_request() -> None:
    fault = BY_NAME["label delay"]
    assert (fault.in_views, fault.in_vectors) == (None, None)
    assert fault.labels_late > timedelta(hours=50)
