"""Twin runs: the same days with a fault and without. A fault is caught by the first alarm that the clean twin lacks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from orchestration.backtest.checkup import ended_window, judged
from orchestration.backtest.course import LOOKS_AT, Course, Rules
from orchestration.backtest.detectors import CHATTY, Alarm, daily_alarms, weekly_alarms
from orchestration.backtest.faults import DATA_FAULTS, DataFault
from orchestration.backtest.models import Models
from orchestration.backtest.plan import WEEK
from orchestration.backtest.served import Served, between, served, stored_views
from orchestration.backtest.trial_log import CANARY_FAULTS, SOUND, CanaryFault
from orchestration.backtest.usual import Usual
from orchestration.features.views import view_window
from orchestration.health.maturity import label_watermark, late_labels
from orchestration.ingestion.partitions import days, midnight

DAY = timedelta(days=1)
# How long a fault of the data stands, and when the daily checks look (CRON_DRIFT).
FAULT_DAYS = 14
CHECKS_AT = 2
# A canary's twin is watched no longer than that.
TRIAL_DAYS = 14
# The baseline of a canary's twins learned so much less than the challenger.
OLDER = timedelta(days=14)


@dataclass(frozen=True)
class Caught:
    """What one twin run brought: `by` is None where nothing was said. `requests`: the canary's until then.

    `paged_by` and `page` are the same of the checks that are quiet without a fault: all but those of single features' PSI.
    """

    since: datetime
    by: str | None
    delay: timedelta | None
    requests: int | None = None
    paged_by: str | None = None
    page: timedelta | None = None


def first_new(faulty: Sequence[Alarm], clean: Sequence[Alarm], since: datetime) -> Caught:
    """The first alarm of `faulty` that `clean` lacks; of several at once the one that was said first."""
    known = set(clean)
    new = [alarm for alarm in sorted(faulty, key=lambda alarm: alarm.at) if alarm not in known]
    first = next(iter(new), None)
    page = next((alarm for alarm in new if alarm.by not in CHATTY), None)
    return Caught(
        since,
        first.by if first else None,
        first.at - since if first else None,
        paged_by=page.by if page else None,
        page=page.at - since if page else None,
    )


@dataclass(frozen=True)
class DataTwins:
    """Everything that a data fault meets: the views of the lake, the champion of the day, and what is usual."""

    models: Models
    rules: Rules
    usual: Usual
    features: Path
    champion: Callable[[date], date]

    def run(self, since: datetime, faults: Sequence[DataFault] = DATA_FAULTS) -> dict[str, Caught]:
        """Each fault from `since` on, beside one clean twin."""
        clean = list(self._alarms(since, None))
        return {fault.name: first_new(list(self._alarms(since, fault)), clean, since) for fault in faults}

    def _alarms(self, since: datetime, fault: DataFault | None) -> Iterator[Alarm]:
        first, end = since.date(), since.date() + FAULT_DAYS * DAY
        world, start = self.models.world, since.date() - 8 * DAY
        rows = world.of_days(start, end)
        log = self._served(rows, start, end, since, fault)
        asked = world.rows["event_timestamp"][rows]
        scores = self.models.score(self.champion(first), log.vectors)
        for day in days(first + DAY, end):
            now = midnight(day) + timedelta(hours=CHECKS_AT)
            yield from daily_alarms(between(log, asked, now - DAY, now), self.usual, now)
            if not day.weekday():
                yield from weekly_alarms(between(log, asked, now - WEEK, now), self.usual, now)
            now = midnight(day) + timedelta(hours=LOOKS_AT)
            watermark = _watermark(asked.filter(asked < now), since, now, fault)
            if late_labels(watermark, now, self.rules.health.windows.longest_wait):
                yield Alarm(now, "label watermark", "")
            window = ended_window(day, self.rules.health)
            if window and window[0] >= start and not (fault and fault.labels_late):
                of = world.of_days(*window)
                mine = slice(of.start - rows.start, of.stop - rows.start)
                verdict = judged(window, world.labels[of], scores[mine], self.rules.thresholds, self.rules.health)
                if verdict.outcome == "bad":
                    yield Alarm(now, "health of a window", str(window[0]))

    def _served(self, rows: slice, start: date, end: date, since: datetime, fault: DataFault | None) -> Served:
        asked, inputs = self.models.world.rows[rows], self.models.world.inputs
        views = stored_views(self.features, start, end)
        if fault and fault.in_views:
            views = fault.in_views(views, since, np.random.default_rng(int(since.timestamp())))
        log = served(asked, views, inputs)
        if not (fault and fault.in_vectors):
            return log
        after = (asked["event_timestamp"] >= since).to_numpy()
        faulty = fault.in_vectors(log.vectors, [i.name for i in inputs])
        return Served(np.where(after[:, None], faulty, log.vectors), log.ages)


def canary_twins(
    models: Models, rules: Rules, start: date, faults: Sequence[CanaryFault] = CANARY_FAULTS
) -> dict[str, Caught]:
    """Trials of the same challenger, the last Monday's, from the first request for `start` on, with each fault and without."""
    learned = start - timedelta(days=start.weekday())
    known = set(_failures(models, rules, start, learned, SOUND))
    since, _ = view_window(start, start)
    found = {}
    for fault in faults:
        new = [one for one in _failures(models, rules, start, learned, fault) if one not in known]
        found[fault.name] = Caught(since, None, None)
        if new:
            by, at, requests = new[0]
            found[fault.name] = Caught(since, by, at - since, requests, paged_by=by, page=at - since)
    return found


def _failures(
    models: Models, rules: Rules, start: date, learned: date, fault: CanaryFault
) -> list[tuple[str, datetime, int]]:
    """The criterion that ended the trial, when, and after how many requests of the canary."""
    course = Course.of(models, rules, learned - OLDER, fault)
    course.begin(learned, view_window(start, start)[0])
    assert course.trial is not None
    log = course.trial
    hours = course.run(start, start + TRIAL_DAYS * DAY)
    now = next((hour for hour in hours if course.trial is not log), None)
    if now is None or course.verdict is None:
        return []
    return [(c.name, now, log.canary_requests) for c in course.verdict.criteria if c.outcome == "fail"]


def _watermark(asked: pl.Series, since: datetime, now: datetime, fault: DataFault | None) -> datetime:
    """The lake has the outcomes of a day on the next morning, or later where the fault holds them up."""
    late = fault.labels_late if fault else timedelta(0)
    newest = max(now.date() - DAY - late, since.date() - DAY) if late else now.date() - DAY
    made = pl.DataFrame({"event_time": asked}).with_row_index("prediction_id")
    return label_watermark(made, made.clear(), [newest], now)
