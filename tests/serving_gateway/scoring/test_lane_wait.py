"""What a lane thinks a row has to wait: learned from what batches take, and unlearned."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from serving_gateway.scoring.lane import SURE_ROWS, TELLING_ROWS, Lane
from serving_gateway.triton.errors import ScoreError
from tests.serving_gateway.scoring.scripted import ScriptedArm, call_of, served_by


class Slow(ScriptedArm):
    """Takes `row_s` for each row."""

    row_s = 0.0

    def ask(
        self,
        rows: Sequence[bytes],
        deadline: float,
        done: Callable[[list[float] | ScoreError], None],
        traceparent: str = "",
    ) -> None:
        asyncio.get_running_loop().call_later(self.row_s * len(rows), super().ask, rows, deadline, done)


def waits(*batches: tuple[int, float], ahead: int = 100) -> float:
    """What a row would wait behind `ahead` others, after batches of so many rows at so many seconds a row."""

    async def run() -> float:
        arm = Slow("baseline", 0.1)
        scored = asyncio.Event()
        lane = Lane(arm, lambda _arm, _pairs: scored.set(), lambda *_: None, group_commit=True)
        for rows, row_s in batches:
            arm.row_s = row_s
            scored.clear()
            lane.ask(call_of(served_by(arm), ["baseline"] * rows, left_s=60).rows)
            await scored.wait()
        arm.row_s = 0.0
        lane.ask(call_of(served_by(arm), ["baseline"] * ahead, left_s=60).rows)
        return lane.wait_s

    return asyncio.run(run())


def test_nothing_is_known_before_the_first_batch_that_tells() -> None:
    assert waits() == 0.0
    assert waits((1, 0.05)) == 0.0  # an exchange of one row is mostly not the row's


def test_a_row_waits_for_those_before_it_at_the_pace_of_the_last_batch() -> None:
    assert waits((SURE_ROWS, 0.002), ahead=100) == pytest.approx(0.2, rel=0.3)


def test_a_pause_under_a_small_batch_is_believed_by_its_share() -> None:
    assert waits((TELLING_ROWS, 0.01), ahead=100) == pytest.approx(1.0 * TELLING_ROWS / SURE_ROWS, rel=0.3)


def test_one_stall_is_not_believed_for_ever() -> None:
    """After it so few rows are let in that no batch could tell any more: a small one may still say that it is over."""
    assert waits((SURE_ROWS, 0.002), (1, 0.0)) < 0.1
