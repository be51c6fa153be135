"""When two float32 values are the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.features.skew.compare import Values, equal, exact

FLOATS = st.floats(width=32, allow_nan=True, allow_infinity=True)


def values(*numbers: float) -> Values:
    return np.array(numbers, np.float32)


@given(st.lists(FLOATS))
def test_what_is_identical_never_differs(numbers: list[float]) -> None:
    served = values(*numbers)
    assert exact(served, served.copy()).all()
    assert equal(served, served.copy()).all()


@given(st.lists(st.tuples(FLOATS, FLOATS)))
def test_it_is_one_answer_in_either_direction_and_exact_is_equal(pairs: list[tuple[float, float]]) -> None:
    one, other = values(*(a for a, _ in pairs)), values(*(b for _, b in pairs))
    assert (equal(one, other) == equal(other, one)).all()
    assert (equal(one, other) >= exact(one, other)).all()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=2.0**-100, max_value=2.0**100))
def test_the_next_float_is_the_same_value_and_a_share_of_a_hundred_thousandth_is_not(number: float) -> None:
    served = values(number)
    assert equal(served, np.nextafter(served, np.float32(np.inf))).all()
    assert not exact(served, np.nextafter(served, np.float32(np.inf))).any()
    assert not equal(served, served * np.float32(1.00001)).any()


@pytest.mark.parametrize(
    ("served", "offline", "same"),
    [
        (float("nan"), float("nan"), True),
        (float("nan"), 0.0, False),
        (0.0, -0.0, True),
        (0.0, 1e-30, False),
        (float("inf"), float("inf"), True),
        (float("inf"), float("-inf"), False),
        (float("inf"), 3e38, False),
    ],
)
def test_edges(served: float, offline: float, same: bool) -> None:
    assert equal(values(served), values(offline)).tolist() == [same]
