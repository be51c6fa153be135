"""One look at the model that answers: its windows against what is usual, and everything known on the way."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from orchestration.features.views import view_window
from orchestration.health.label_free import estimated, track_record
from orchestration.health.maturity import late_labels
from orchestration.health.past import PastWindow
from orchestration.health.policy import HealthPolicy
from orchestration.health.report import (
    DayHealth,
    HealthReport,
    JudgedWindow,
    read_past,
    read_windows,
    windows_file,
    write_document,
)
from orchestration.health.served import Served, served
from orchestration.health.thresholds import HealthThresholds, fitted_thresholds
from orchestration.health.verdict import judge_health, judge_window
from orchestration.health.windows import window_days
from serving_gateway.contracts.rollout import BASIS_POINTS, Arm, RolloutState


def answering(state: RolloutState) -> Arm:
    """The arm whose model is judged: the baseline, or the canary once it answers everything."""
    canary = state.arms.canary
    return canary if canary is not None and state.canary_weight_bp == BASIS_POINTS else state.arms.baseline


def look(lake: Path, arm: Arm, policy: HealthPolicy, *, now: datetime, days: int) -> HealthReport:
    """Judge the model of `arm` at the event time `now`, and keep the verdicts on its windows.

    A window that was judged good or bad stays so: a later look reads the verdict instead of judging again. `days` is how far
    back windows are looked for, and how many days stand in the report.

    Raises HealthRecordError where what an earlier look wrote cannot be read.
    """
    since = window_days(now.date() - timedelta(days=days), policy.windows.days)[0]
    answers = served(lake, arm.triton_model, view_window(since, since)[0], now)
    past = _past_of(lake, arm.model)
    thresholds = fitted_thresholds([window.health for window in past], policy.thresholds)
    windows = _judged(_known(lake, arm.triton_model, policy, now), answers, thresholds, policy)
    kept = [window for window in windows if window.verdict.outcome != "inconclusive"]
    write_document(windows_file(lake, arm.triton_model), kept)
    seen = [*past, *(window.figures for window in kept if window.figures)]
    under_way = answers.since(windows[-1].verdict.end if windows else since)["score"].to_numpy()
    return HealthReport(
        triton_model=arm.triton_model,
        as_of=now,
        verdict=judge_health([window.verdict for window in windows], policy.retraining),
        watermark=answers.watermark,
        late_labels=late_labels(answers.watermark, now, policy.windows.longest_wait),
        thresholds=thresholds,
        windows=windows,
        days=_days(answers, now.date() - timedelta(days=days)),
        estimated_rows=len(under_way),
        estimates=estimated(under_way) if len(under_way) else {},
        record=track_record([(window.estimates, window.health) for window in seen]),
    )


def _past_of(lake: Path, model: str) -> Sequence[PastWindow]:
    past = read_past(lake)
    return past.windows if past is not None and past.model == model else []


def _known(lake: Path, triton_model: str, policy: HealthPolicy, now: datetime) -> list[JudgedWindow]:
    """What earlier looks have judged; not what a clock that was set back has yet to reach, nor windows of another length."""
    length = timedelta(days=policy.windows.days)
    return [
        window
        for window in read_windows(lake, triton_model)
        if window.verdict.end <= now.date() and window.verdict.end - window.verdict.first == length
    ]


def _judged(
    known: Sequence[JudgedWindow], answers: Served, thresholds: HealthThresholds, policy: HealthPolicy
) -> list[JudgedWindow]:
    """The known windows and those that have become whole since, in order of time."""
    by_start = {window.verdict.first: window for window in known}
    for days in answers.whole(policy.windows.days):
        if days[0] not in by_start:
            figures, made = answers.window(days), answers.within(days).height
            health = figures.health if figures else None
            verdict = judge_window(days, health, thresholds, policy, predictions=made)
            by_start[days[0]] = JudgedWindow(verdict, figures, made)
    return [by_start[first] for first in sorted(by_start)]


def _days(answers: Served, first: date) -> list[DayHealth]:
    return [
        DayHealth(day, figures)
        for day, _ in answers.whole(1)
        if day >= first and (figures := answers.window((day, day + timedelta(days=1)))) is not None
    ]
