"""One request on its way: its rows, how many of them still wait for a score, and whom to tell."""

from collections.abc import Callable

from serving_gateway.arms import LoadedArm
from serving_gateway.http import ApiError
from serving_gateway.rollout.served import Served
from serving_gateway.scoring.row import ScoringRow
from serving_gateway.tracing.trace import Trace


class Call:
    """`done` is called once: when every row is scored and logged, or with `error` set when the first one cannot be.

    `rows` is filled once the features are there; `waiting` counts the rows that are not scored yet. `started` is
    `time.perf_counter`, from which latency counts; `deadline` is event loop time.
    """

    __slots__ = (
        "canary_failed", "canary_until", "deadline", "done", "error", "request_id", "rows", "served", "started", "trace",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        served: Served,
        request_id: str,
        count: int,
        *,
        started: float,
        deadline: float,
        done: "Callable[[Call], None]",
        trace: Trace | None = None,
    ) -> None:
        self.served = served
        self.request_id = request_id
        self.rows: list[ScoringRow] = []
        self.waiting = count
        self.started = started
        self.deadline = deadline
        self.trace = trace
        self.done = done
        self.error: ApiError | None = None
        self.canary_until = 0.0  # event loop time until which the canary may score its rows; 0: it has none
        self.canary_failed = False

    @property
    def settled(self) -> bool:
        """Whether it is answered, or refused."""
        return not self.waiting or self.error is not None

    @property
    def ids(self) -> dict[str, str]:
        """What the log finds it by."""
        return {"request_id": self.request_id, "trace_id": self.trace.trace_id if self.trace else ""}

    def until(self, arm: LoadedArm) -> float:
        """Event loop time until which `arm` may score its rows."""
        return self.canary_until if arm is self.served.canary else self.deadline

    def fail(self, error: ApiError) -> None:
        """It cannot be answered any more. The first error is told, and nothing after it."""
        if self.settled:
            return
        self.error = error
        for row in self.rows:
            row.asked = None
        self.done(self)
