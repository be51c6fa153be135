"""What a model did in weeks that it had not seen, before it served: windows of its training days, from a rolling origin.

Each window is scored by a model that was trained on all days before it and on nothing else (L. J. Tashman, "Out-of-sample
tests of forecasting accuracy", International Journal of Forecasting 16, 2000, section 3).
"""

from datetime import date, timedelta

from orchestration.health.policy import HealthPolicy
from orchestration.health.windows import window_days

Days = tuple[date, date]


def rolling_origins(days: Days, policy: HealthPolicy) -> list[tuple[Days, Days]]:
    """(training days, window) of every whole window in `days`, [first, end), that has enough days before it.

    In order of time; of more than the policy asks for, the last ones.
    """
    first, end = days
    origins = []
    window = window_days(first + timedelta(days=policy.past.fewest_training_days), policy.windows.days)
    while window[1] <= end:
        if (window[0] - first).days >= policy.past.fewest_training_days:
            origins.append(((first, window[0]), window))
        window = window_days(window[1], policy.windows.days)
    return origins[-policy.past.most_windows :]
