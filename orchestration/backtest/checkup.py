"""The health of the serving model week by week: which windows are judged, by what, and when that asks for a new model."""

from datetime import date, timedelta

from orchestration.backtest.models import Models
from orchestration.backtest.world import Floats
from orchestration.health.past import rolling_origins
from orchestration.health.policy import HealthPolicy
from orchestration.health.thresholds import HealthThresholds, fitted_thresholds
from orchestration.health.verdict import WindowVerdict, judge_window
from orchestration.health.windows import WindowHealth, window_days, window_health

DAY = timedelta(days=1)


def past_windows(models: Models, days: tuple[date, date], policy: HealthPolicy) -> list[WindowHealth]:
    """Windows of `days`, each scored by a model that was trained on the days before it: a rolling origin."""
    found = []
    for (_, learned), window in rolling_origins(days, policy):
        rows = models.world.of_days(*window)
        found.append(window_health(models.world.labels[rows], models.scores(learned, rows)))
    return found


def thresholds_of(models: Models, days: tuple[date, date], policy: HealthPolicy) -> HealthThresholds:
    """What is usual, from the windows of `days` alone."""
    return fitted_thresholds(past_windows(models, days, policy), policy.thresholds)


def ended_window(day: date, policy: HealthPolicy) -> tuple[date, date] | None:
    """The window that ended with the midnight that `day` begins with, if one did."""
    window = window_days(day - DAY, policy.windows.days)
    return window if window[1] == day else None


def judged(
    window: tuple[date, date], labels: Floats, scores: Floats, thresholds: HealthThresholds, policy: HealthPolicy
) -> WindowVerdict:
    """Judge the rows of a window that the serving model answered; all labels are there."""
    health = window_health(labels, scores) if len(labels) else None
    return judge_window(window, health, thresholds, policy)
