"""The trip condition, as a table and over time."""

import pytest

from serving_gateway.rollout.reflex import Figures, TripPolicy, Window, trip_reason

POLICY = TripPolicy()


@pytest.mark.parametrize(
    ("requests", "failures", "consecutive", "trips"),
    [
        (0, 0, 0, False),
        (9, 9, 9, False),  # too few to say
        (10, 10, 10, True),  # ten in a row
        (19, 12, 3, False),  # a share of too few
        (20, 9, 3, False),  # below half
        (20, 10, 3, True),  # half
        (1000, 499, 2, False),
        (1000, 500, 2, True),
        (100_000, 200, 1, False),  # .2 % errors are no gross failure
    ],
)
def test_condition(requests: int, failures: int, consecutive: int, trips: bool) -> None:
    reason = trip_reason(Figures(requests, failures, consecutive), POLICY)
    assert (reason is not None) == trips


def test_the_reason_states_the_figures() -> None:
    assert trip_reason(Figures(20, 12, 3), POLICY) == "12 of 20 canary requests failed within 10 s"
    assert trip_reason(Figures(11, 11, 11), POLICY) == "11 canary requests failed in a row"


def test_the_window_forgets_what_is_older_than_it() -> None:
    window = Window(10.0)
    for second in range(10):
        window.add(float(second), failed=True)
    assert window.add(9.5, failed=False) == Figures(11, 10, 0)
    assert window.add(14.0, failed=False) == Figures(7, 5, 0)  # (4, 14] s
    assert window.add(30.0, failed=True) == Figures(1, 1, 1)


def test_a_success_ends_a_run_of_failures() -> None:
    window = Window(10.0)
    for _ in range(9):
        window.add(0.0, failed=True)
    window.add(0.1, failed=False)
    figures = window.add(0.2, failed=True)
    assert figures.consecutive == 1


def test_failures_in_a_row_count_however_slow_the_traffic() -> None:
    window = Window(10.0)
    figures = [window.add(60.0 * minute, failed=True) for minute in range(10)][-1]
    assert figures == Figures(1, 1, 10)
    assert trip_reason(figures, POLICY) is not None
