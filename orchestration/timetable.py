"""Which days a schedule or sensor should work on, from the event clock and the days that are stored.

Days are UTC days of scheduled departures; `now` is event time. NotDueError says why nothing is to be done.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

DAY = timedelta(days=1)
# A challenger's recipe is judged on the last four weeks after learning from what lies before, no less than that; then it
# is fitted to all of them.
HOLDOUT = timedelta(days=28)
# Days that one request ingests at most: the next tick goes on with the rest.
MAX_CATCH_UP = timedelta(days=31)


class NotDueError(Exception):
    """There is nothing to do; the message says why, and what would change that."""


@dataclass(frozen=True)
class TrainingWindows:
    """Half-open ranges of days: the hold-out follows the training window at once."""

    train: tuple[date, date]
    holdout: tuple[date, date]

    @property
    def config(self) -> dict[str, str | bool]:
        """As the model assets are configured: the recipe is judged on the hold-out, the model learns from it too."""
        names = ("train_start", "train_end", "holdout_start", "holdout_end")
        days = (day.isoformat() for day in (*self.train, *self.holdout))
        return {**dict(zip(names, days, strict=True)), "refit": True}


def completed_day(now: datetime, known: Collection[date]) -> date:
    """The last day that is over. Raises NotDueError where it is not among the `known` days of the source."""
    day = now.date() - DAY
    if day not in known:
        raise NotDueError(
            f"the source has no {day}: it holds {min(known)} to {max(known)}. The event clock stands at {now:%Y-%m-%d %H:%M}; "
            "a replay sets it (python -m orchestration.replay)"
        )
    return day


def missing_days(now: datetime, known: Collection[date], stored: Collection[date]) -> tuple[date, date]:
    """First and last of the completed days after the newest of them that is `stored`, MAX_CATCH_UP at most.

    Holes before that one stay: somebody left them out. Raises NotDueError.
    """
    before = {day for day in stored if day < now.date()}
    if not before:
        raise NotDueError(
            f"no day before {now.date()} has all its assets: run ingest_and_compute on a first range of days"
        )
    first, last = max(before) + DAY, completed_day(now, known)
    if last < first:
        raise NotDueError(f"every completed day is there: the newest is {max(before)}, event time {now:%Y-%m-%d %H:%M}")
    return first, min(last, first + MAX_CATCH_UP - DAY)


def training_windows(now: datetime, stored: Collection[date]) -> TrainingWindows:
    """All unbroken days of training rows before `now`; the last HOLDOUT of them are held out. Raises NotDueError."""
    before = {day for day in stored if day < now.date()}
    if not before:
        raise NotDueError(f"training_rows has no day before {now.date()}: run ingest_and_compute")
    end = max(before) + DAY
    first = max(before)
    while first - DAY in before:
        first -= DAY
    if end - first < 2 * HOLDOUT:
        raise NotDueError(
            f"training_rows has {(end - first).days} unbroken days before {end}, a challenger needs {2 * HOLDOUT.days}: "
            f"run ingest_and_compute for {first - DAY} and before"
        )
    cut = end - HOLDOUT
    return TrainingWindows((first, cut), (cut, end))
