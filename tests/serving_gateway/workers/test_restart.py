"""When a worker starts again, when it is killed, and what is said of its end."""

import pytest

from serving_gateway.workers.identity import worker_id
from serving_gateway.workers.line import READY, last_words
from serving_gateway.workers.restart import LONGEST_DELAY_S, START_S, STOP_S, delay_s, how_it_ended, overdue


def test_short_lives_are_restarted_ever_later_up_to_a_limit() -> None:
    delays = [delay_s(n) for n in range(1000)]
    assert delays[:4] == pytest.approx([0.0, 0.1, 0.2, 0.4])
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_S


@pytest.mark.parametrize(
    ("age_s", "ready", "told_to_stop_s", "why"),
    [
        (START_S - 1, False, None, ""),
        (START_S + 1, False, None, "not ready"),
        (START_S + 1, True, None, ""),
        (START_S + 1, True, STOP_S - 1, ""),
        (START_S + 1, True, STOP_S + 1, "did not stop"),
        (1, False, STOP_S + 1, "did not stop"),
    ],
)
def test_who_takes_too_long_is_killed(age_s: float, ready: bool, told_to_stop_s: float | None, why: str) -> None:
    found = overdue(age_s=age_s, ready=ready, told_to_stop_s=told_to_stop_s)
    assert (why in found) if why else not found


@pytest.mark.parametrize(
    ("code", "said", "how"),
    [
        (0, READY, "stopped"),
        (-9, READY, "killed by SIGKILL"),
        (3, READY, "exited with 3; the log above says why"),
        (1, b"the spool is in use", "the spool is in use"),
        (1, READY + b"the disk is gone", "the disk is gone"),
    ],
)
def test_an_end_is_told_in_words(code: int, said: bytes, how: str) -> None:
    assert how_it_ended(code, last_words(said)) == how


def test_the_first_worker_has_the_gateways_name() -> None:
    assert [worker_id("g", index) for index in range(3)] == ["g", "g-1", "g-2"]
