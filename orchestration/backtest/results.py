"""What the backtest found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from orchestration.backtest.course import Event, Rules
from orchestration.backtest.plan import Plan
from orchestration.backtest.twins import Caught


@dataclass(frozen=True)
class Retrain:
    """A challenger: when it was asked for, and when it came to answer everything; None where it never did.

    `gain`: by how much its log-loss was below its predecessor's from then until the next one, in nats a row.
    """

    asked: datetime
    model: date
    promoted: datetime | None
    gain: float | None


@dataclass(frozen=True)
class Week:
    """Mean log-loss of the requests of seven days: of the frozen model, of what was served, of weekly retraining.

    `textbook` names the rules that called the week drifted.
    """

    first: date
    frozen: float
    ours: float
    weekly: float
    textbook: frozenset[str]


@dataclass(frozen=True)
class Results:
    """`log_loss` is frozen, ours, weekly over all rows, `share` the share of the gain.

    `calendar` is the share of the gain by weeks between two retrains, where the calendar asks for them and nothing else, and
    the rollout takes as long as ours.

    `redrawn` counts the alarms of each no-drift year, `data_alarms` the days on which each daily check spoke without a
    fault, `watched_days` how many days that were. `faults` holds the twin runs of each.
    """

    plan: Plan
    rules: Rules
    events: Sequence[Event]
    weeks: Sequence[Week]
    log_loss: tuple[float, float, float]
    share: float
    calendar: Mapping[int, float]
    retrains: Sequence[Retrain]
    redrawn: Sequence[int]
    data_alarms: Mapping[str, int]
    watched_days: int
    faults: Mapping[str, Sequence[Caught]]

    @property
    def useless_retrains(self) -> int:
        """Retrains that brought no later gain, those included that were never promoted."""
        return sum(retrain.gain is None or retrain.gain <= 0 for retrain in self.retrains)

    @property
    def false_alarms_per_quarter(self) -> float:
        """Both kinds together: alarms of a no-drift year, and retrains without a later gain."""
        return (float(np.mean(self.redrawn)) + self.useless_retrains) / self.plan.quarters


def caught_by(runs: Sequence[Caught]) -> str | None:
    """What caught the fault most often; None where most runs caught nothing."""
    said = Counter(run.by for run in runs)
    return said.most_common(1)[0][0]


def median_delay(delays: Sequence[timedelta | None]) -> timedelta | None:
    """Over all runs; None, nothing caught, counts as the longest. None where the median is such a run."""
    known = sorted(delay for delay in delays if delay is not None)
    middle = (len(delays) - 1) // 2
    return known[middle] if middle < len(known) else None


def median_requests(runs: Sequence[Caught]) -> int | None:
    """Requests of the canary until then, over the runs that count them."""
    known = sorted(run.requests for run in runs if run.requests is not None)
    return known[(len(known) - 1) // 2] if known else None
