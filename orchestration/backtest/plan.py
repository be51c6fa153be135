"""Which days the backtest is about, and how much of everything it does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from orchestration.ingestion.partitions import days, midnight
from orchestration.training.lightgbm_recipe import ROUNDS

WEEK = timedelta(days=7)
QUARTER_DAYS = 91
SEED = 2013

# Given the name of a stage and its number of steps: what is to be called after each step.
Progress = Callable[[str, int], Callable[[], object]]


@dataclass(frozen=True)
class Plan:
    """History [`first`, `start`) fits the first model and all thresholds; the days [`start`, `end`) are replayed.

    `start` is a Monday and the replay is whole weeks long. `redrawn` is the number of no-drift years, `dates` the number of
    twin runs of each fault, `rounds` the number of trees of each model.
    """

    first: date = date(2013, 1, 1)
    start: date = date(2013, 4, 1)
    end: date = date(2013, 12, 30)
    redrawn: int = 20
    dates: int = 5
    rounds: int = ROUNDS

    def __post_init__(self) -> None:
        if self.start.weekday() or self.end.weekday() or self.end <= self.start:
            raise ValueError(f"the replay must go from a Monday to a later one, not from {self.start} to {self.end}")

    @property
    def mondays(self) -> list[date]:
        """When weekly retraining retrains."""
        return [day for day in days(self.start, self.end) if day.weekday() == 0]

    @property
    def quarters(self) -> float:
        """Length of the replay."""
        return (self.end - self.start).days / QUARTER_DAYS

    def fault_moments(self) -> list[datetime]:
        """Seeded moments at which faults begin: late enough for a champion, early enough to be caught."""
        first, last = self.start + 3 * WEEK, self.end - 3 * WEEK
        chosen = np.random.default_rng(SEED).choice((last - first).days * 24, self.dates, replace=False)
        return [midnight(first) + timedelta(hours=int(hour)) for hour in np.sort(chosen)]
