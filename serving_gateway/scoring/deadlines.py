"""One sweep for many deadlines: a timer for each request would cost more than its split."""

import asyncio
from collections import deque
from collections.abc import Callable

from serving_gateway.scoring.call import Call

SWEEP_S = 0.01


class Deadlines:
    """Calls with their deadlines (event loop time), the first to come due first.

    `late` is told of a call that is not settled at its deadline, within SWEEP_S. The timer rests while nothing is watched.
    """

    def __init__(self, late: Callable[[Call], None]) -> None:
        self._late = late
        self._watched: deque[tuple[float, Call]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, call: Call, deadline: float) -> None:
        """Watch `call`. Most come in the order of their deadlines; one that waited for its features may not."""
        watched = self._watched
        at = len(watched)
        while at and watched[at - 1][0] > deadline:
            at -= 1
        watched.insert(at, (deadline, call))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        loop, watched = asyncio.get_running_loop(), self._watched
        now = loop.time()
        try:
            while watched and (watched[0][1].settled or watched[0][0] <= now):
                _, call = watched.popleft()
                if not call.settled:
                    self._late(call)
        finally:
            self._timer = loop.call_later(SWEEP_S, self._sweep) if watched else None
