"""Two made-up days of events, and what they must leave in a store."""

from orchestration.features.live.updater import Updater
from tests.orchestration.features.live.feeds import batch_rows, last_moment, synthetic
from tests.orchestration.features.live.updaters import Stand, expected

FLIGHTS, WEATHER, EVERYTHING = synthetic(7, n=60, days=2)
END = last_moment(EVERYTHING)
BATCH_ROWS = batch_rows(FLIGHTS, WEATHER, END)


def run(updater: Updater) -> None:
    """Until nothing waits."""
    while updater.cycle(block_ms=1):
        pass


def all_is_there(stand: Stand) -> bool:
    return stand.content(BATCH_ROWS) == expected(BATCH_ROWS)
