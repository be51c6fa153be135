"""A day checked from end to end: which day, its report, its verdict."""

from dataclasses import dataclass
from datetime import date

from orchestration.features.skew.recompute import NotComputableError, skew_of
from orchestration.features.skew.report import SkewReport
from orchestration.features.skew.served import newest_day
from orchestration.features.skew.verdict import SkewVerdict, judge_skew
from orchestration.settings import Settings
from serving_gateway.control.store import RolloutStore


@dataclass(frozen=True)
class JudgedDay:
    """No day where nothing is logged, no report where there was nothing to compare with: the verdict says what to do."""

    day: date | None
    report: SkewReport | None
    verdict: SkewVerdict


def judge_day(settings: Settings, store: RolloutStore, day: date | None = None) -> JudgedDay:
    """Check `day`; None for the newest that has logged predictions and stored features.

    Raises redis.RedisError where the store of the contracts does not answer.
    """
    day = day or newest_day(settings.lake)
    if day is None:
        return JudgedDay(None, None, _inconclusive("no prediction is in the lake: run the job land_predictions"))
    try:
        report = skew_of(settings.lake, day, store.contract, late_events=settings.home / "features" / "late")
    except NotComputableError as error:
        return JudgedDay(day, None, _inconclusive(str(error)))
    return JudgedDay(day, report, judge_skew(report))


def _inconclusive(reason: str) -> SkewVerdict:
    return SkewVerdict("inconclusive", reason)
